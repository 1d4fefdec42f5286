#include "ingest/api/visible.h"

#include <algorithm>
#include <array>
#include <string>

#include "ingest/http/problem.h"

namespace veche::api {
namespace {

constexpr std::array kReadersOfDrafts{auth::Role::kModerator, auth::Role::kApprover,
                                      auth::Role::kAuditor};

std::optional<StaffMember> reader_of_drafts(Local& local, std::string_view authorization) {
  auto claims = local.verifier().verify_staff(bearer(authorization), now_seconds());
  if (!claims) return std::nullopt;
  if (std::none_of(kReadersOfDrafts.begin(), kReadersOfDrafts.end(),
                   [&](auth::Role role) { return claims->roles.has(role); }))
    return std::nullopt;
  return StaffMember{*std::move(claims), {}};
}

}  // namespace

void Reader::look() {
  if (!staff_) staff_ = reader_of_drafts(local_, authorization_);
}

bool Reader::sees(const model::PollEntry& poll) {
  if (poll.was_approved) return true;
  look();
  return *staff_ && holds_for(**staff_, poll.definition->targets, *poll.tree);
}

std::shared_ptr<const model::PollEntry> visible_poll(Local& local, const http::RequestHead& head,
                                                     std::string_view poll) {
  const auto id = model::PollId::parse(poll);
  auto entry = id ? local.directory().find(*id) : nullptr;
  Reader reader(local, head);
  if (!entry) reader.look();  // so that a draft and nothing take the same time
  return entry && reader.sees(*entry) ? entry : nullptr;
}

std::shared_ptr<const model::PollEntry> public_poll(Local& local, const model::PollId& poll) {
  auto entry = local.directory().find(poll);
  return entry && entry->was_approved ? entry : nullptr;
}

void when_visible(Local& local, const http::RequestHead& head, std::string_view poll,
                  const http::Responder& responder, PollSeen then) {
  if (auto entry = visible_poll(local, head, poll)) return then(std::move(entry));
  auto again = [&local, authorization = std::string(head.authorization), poll = std::string(poll),
                responder, then = std::move(then)](bool passed) {
    if (!passed) return responder.send(unknown_yet());
    http::RequestHead kept;
    kept.authorization = authorization;
    if (auto entry = visible_poll(local, kept, poll)) return then(std::move(entry));
    responder.send(unknown_poll());
  };
  local.app.node.barrier([&worker = local.worker, again = std::move(again)](bool passed) mutable {
    worker.post([again = std::move(again), passed] { again(passed); });
  });
}

http::Response unknown_poll() { return refusal(model::Outcome::unknown_poll, wire::Language::en); }

}  // namespace veche::api
