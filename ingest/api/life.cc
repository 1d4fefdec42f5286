#include "ingest/api/life.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iterator>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/polls.h"
#include "ingest/api/visible.h"
#include "ingest/http/problem.h"
#include "ingest/wire/header_list.h"
#include "ingest/wire/poll_json.h"
#include "ingest/wire/poll_texts.h"

namespace veche::api {
namespace {

namespace json = boost::json;

// What a definition asks of the tree that it has not.
std::vector<model::DocumentFault> faults_with_tree(const model::PollDefinition& poll,
                                                   const model::TerritoryTree& tree) {
  std::vector<model::DocumentFault> faults;
  for (std::size_t i = 0; i < poll.targets.size(); ++i) {
    const auto* code = std::get_if<model::TerritoryCode>(&poll.targets[i]);
    if (code && !tree.find(*code))
      faults.push_back({fmt::format("/targets/{}/territory", i), "unknown-territory",
                        "the territory tree has no such code"});
  }
  for (const auto& [code, voters] : poll.expected_voters)
    if (!tree.find(code))
      faults.push_back({fmt::format("/expected_voters/{}", code.view()), "unknown-territory",
                        "the territory tree has no such code"});
  if (!faults.empty() || poll.disclosure == model::Disclosure::exact) return faults;
  const model::PollCells cells(poll, tree, model::places_of_targets(poll, tree));
  if (!model::can_publish(poll, cells.size()))
    faults.push_back({"/disclosure", "too-large",
                      fmt::format("in steps at most {} numbers can be shown: options times "
                                  "territories; name fewer targets, or ask several polls",
                                  limits::kPublicationCounts)});
  return faults;
}

bool same_but_for_tree(model::PollDefinition a, const model::PollDefinition& b) {
  a.tree_version = b.tree_version;
  return a == b;
}

// The definition's versions that an If-Match names; they begin at 1, and are written in one way
// alone. Weak tags are taken for strong ones: see docs/decisions/0017-weak-tags.md.
struct Versions {
  bool any = false;
  std::vector<std::uint32_t> named;

  // The one that a poll of this version has to have still.
  std::uint32_t wanted_of(std::uint32_t current) const {
    const bool is_current = any || std::find(named.begin(), named.end(), current) != named.end();
    return is_current ? current : named.back();
  }
};

// nullopt: it names none.
std::optional<Versions> versions_of(std::string_view if_match) {
  const auto tags = wire::read_entity_tags(if_match);
  if (!tags) return std::nullopt;
  Versions versions{tags->any, {}};
  for (const auto tag : tags->tags) {
    const auto version = model::parse_number<std::uint32_t>(tag);
    if (version && *version > 0 && std::to_string(*version) == tag)
      versions.named.push_back(*version);
  }
  if (!versions.any && versions.named.empty()) return std::nullopt;
  return versions;
}

http::Response version_mismatch(std::string_view detail) {
  return http::problem(412, "version-mismatch", detail);
}
http::Response no_version() {
  return version_mismatch("If-Match names no version; it is as \"3\".");
}

struct Action {
  std::string_view name;
  v1::PollAction action;
  auth::Role role;
  bool needs_reason = false;
};
constexpr std::array kActions{
    Action{"submit", v1::POLL_ACTION_SUBMITTED, auth::Role::kModerator},
    Action{"approve", v1::POLL_ACTION_APPROVED, auth::Role::kApprover},
    Action{"return", v1::POLL_ACTION_RETURNED, auth::Role::kApprover, true},
    Action{"open", v1::POLL_ACTION_OPENED, auth::Role::kApprover},
    Action{"close", v1::POLL_ACTION_CLOSED, auth::Role::kOperator},
    Action{"cancel", v1::POLL_ACTION_CANCELLED, auth::Role::kApprover},
    Action{"certify", v1::POLL_ACTION_CERTIFIED, auth::Role::kCertifier},
};

struct Transition {
  Action action;
  std::string reason;
};

// Else the refusal was sent.
std::optional<Transition> read_transition(std::string_view body, const http::Responder& responder) {
  const auto refuse = [&](std::uint16_t status, std::string_view code, std::string_view detail) {
    responder.send(http::problem(status, code, detail));
    return std::nullopt;
  };
  const auto document = wire::read_document(body);
  const auto* object = document ? document->if_object() : nullptr;
  const auto* name = object ? object->if_contains("action") : nullptr;
  const auto* reason = object ? object->if_contains("reason") : nullptr;
  const bool well_formed = name && name->is_string() && (!reason || reason->is_string()) &&
                           object->size() == (reason ? 2u : 1u) &&
                           (!reason || reason->get_string().size() <= limits::kTitleBytes);
  if (!well_formed) return refuse(400, "malformed", R"(Send {"action": "open", "reason": "..."}.)");
  const auto action = std::find_if(kActions.begin(), kActions.end(), [&](const Action& known) {
    return known.name == std::string_view(name->get_string());
  });
  if (action == kActions.end())
    return refuse(422, "unknown-action",
                  "The action is submit, approve, return, open, close, cancel or certify.");
  Transition transition{*action, reason ? std::string(reason->get_string()) : std::string()};
  if (action->needs_reason && transition.reason.find_first_not_of(" \t\r\n") == std::string::npos)
    return refuse(422, "reason-missing", "Say why the draft is returned.");
  return transition;
}

}  // namespace

void Life::create(const http::Request& request, http::Responder responder) {
  const auto member = require_role(local_, request, auth::Role::kModerator, responder);
  if (!member) return;
  auto draft = read_draft(request.body, *member, responder);
  if (!draft) return;
  draft->version = 0;
  change(*std::move(draft), responder);
}

void Life::edit(const http::Request& request, std::string_view poll, http::Responder responder) {
  const auto member = require_role(local_, request, auth::Role::kModerator, responder);
  if (!member) return;
  if (request.head.if_match.empty())
    return responder.send(http::problem(
        428, "if-match-needed", "Send If-Match with the version that this one shall replace."));
  auto versions = versions_of(request.head.if_match);
  if (!versions || versions->any) return responder.send(no_version());
  auto draft = read_draft(request.body, *member, responder);
  if (!draft) return;
  if (draft->poll.view() != poll)
    return responder.send(
        faulty_document(422, "invalid-poll", "The definition has faults.",
                        {{"/id", "bad-id", "an id stays: it is the one of the path"}}));
  when_visible(local_, request.head, poll, responder,
               [this, draft = *std::move(draft), versions = *std::move(versions),
                responder](const std::shared_ptr<const model::PollEntry>& entry) {
                 auto asked = draft;
                 asked.version = versions.wanted_of(entry->version);
                 change(std::move(asked), responder);
               });
}

// The day whose tree the poll gets: without a zone as opens_at is written. In UTC that tells of no
// place, as when a poll comes back as it was read from here: then the day that it had stays while
// the moment is the same.
model::Date Life::opening_day(const wire::ReadPoll& read) const {
  const auto& poll = read.definition;
  if (const auto& zone = local_.app.time_zone()) return zone->date_of(poll.opens_at);
  if (read.opens_on) return *read.opens_on;
  const auto present = local_.directory().find(poll.id);
  const bool is_known =
      present && present->tree_day && present->definition->opens_at == poll.opens_at;
  return is_known ? *present->tree_day : model::date_of(poll.opens_at);
}

// What it replaces is left to say. nullopt: the refusal was sent.
std::optional<node::PollChangeRequest> Life::read_draft(std::string_view body,
                                                        const StaffMember& member,
                                                        const http::Responder& responder) {
  const auto refuse = [&](http::Response response) {
    responder.send(std::move(response));
    return std::nullopt;
  };
  auto read = wire::read_poll(body);
  if (!read) return refuse(http::problem(400, "malformed", read.error().message));
  const auto& directory = local_.directory();
  const auto day = opening_day(*read);
  const auto* tree = directory.tree_on(day);
  if (!tree)
    return refuse(
        http::problem(409, "no-territories", "Load a territory tree first: PUT /v1/territories."));
  read->definition.tree_version = tree->version;
  if (read->faults.empty()) {
    read->faults = wire::check_texts(read->definition);
    auto more = faults_with_tree(read->definition, *tree->tree);
    std::move(more.begin(), more.end(), std::back_inserter(read->faults));
  }
  if (!read->faults.empty())
    return refuse(faulty_document(422, "invalid-poll", "The definition has faults.", read->faults));
  if (!holds_for(member, read->definition.targets, *tree->tree)) return refuse(not_held());
  auto poll = std::make_shared<const model::PollDefinition>(std::move(read->definition));
  return node::PollChangeRequest{
      poll->id, v1::POLL_ACTION_DRAFTED, poll, member.by, {}, std::nullopt, day};
}

void Life::transition(const http::Request& request, std::string_view poll,
                      http::Responder responder) {
  auto claims = require_staff(local_, request, responder);
  if (!claims) return;
  auto asked = read_transition(request.body, responder);
  if (!asked) return;
  const auto member = require_role(*std::move(claims), asked->action.role, responder);
  if (!member) return;
  const auto if_match = request.head.if_match;
  auto versions = versions_of(if_match);
  if (!if_match.empty() && !versions) return responder.send(no_version());
  auto act = [this, asked = *std::move(asked), member = *member, versions = std::move(versions),
              responder](const std::shared_ptr<const model::PollEntry>& entry) {
    const auto& definition = *entry->definition;
    if (!holds_for(member, definition.targets, *entry->tree)) return responder.send(not_held());
    const auto action = asked.action.action;
    const auto version = versions ? versions->wanted_of(entry->version) : entry->version;
    if (action == v1::POLL_ACTION_CERTIFIED)
      return certificates_.certify({definition.id, version, member.by, asked.reason}, responder);
    change({definition.id, action, nullptr, member.by, asked.reason, version}, responder,
           versions ? Named::by_client : Named::here);
  };
  when_visible(local_, request.head, poll, responder, std::move(act));
}

std::optional<http::Response> Life::refuse_transition(const auth::StaffClaims& claims) {
  const bool may_act = std::any_of(kActions.begin(), kActions.end(), [&](const Action& action) {
    return claims.roles.has(action.role);
  });
  if (may_act) return std::nullopt;
  return http::problem(403, "role-missing", "This needs a role that changes polls.");
}

void Life::change(node::PollChangeRequest request, http::Responder responder, Named version) {
  local_.app.node.change(
      request, [&worker = local_.worker, request, responder, version](node::ChangeResult result) {
        if (version == Named::here && result.outcome == node::ChangeOutcome::version_mismatch)
          result.outcome = node::ChangeOutcome::overtaken;
        worker.post([request, responder, result] { responder.send(answer(request, result)); });
      });
}

http::Response Life::answer(const node::PollChangeRequest& request,
                            const node::ChangeResult& result) {
  const bool creates = request.action == v1::POLL_ACTION_DRAFTED && request.version == 0u;
  if (result.outcome == node::ChangeOutcome::done) {
    auto response = poll_response(creates ? 201 : 200, *result.poll);
    if (creates) response.with(http::Header::location, "/v1/polls/" + request.poll.str());
    return response;
  }
  if (result.outcome == node::ChangeOutcome::poll_exists &&
      same_but_for_tree(*request.definition, *result.poll->definition))
    return poll_response(200, *result.poll);
  if (result.outcome == node::ChangeOutcome::limit_reached && creates)
    return http::problem(409, "limit-reached",
                         fmt::format("A log holds at most {} polls.", limits::kPolls));
  return refused_change(result);
}

http::Response refused_change(const node::ChangeResult& result) {
  switch (result.outcome) {
    case node::ChangeOutcome::done:
      break;
    case node::ChangeOutcome::poll_exists:
      return http::problem(409, "poll-exists", "Another poll has this id; ids are used once.");
    case node::ChangeOutcome::wrong_phase:
      return http::problem(409, "wrong-state",
                           fmt::format("The poll is {}.", model::name(result.poll->phase)));
    case node::ChangeOutcome::version_mismatch:
      return version_mismatch(fmt::format("The poll has version {}.", result.poll->version));
    case node::ChangeOutcome::own_draft:
      return http::problem(
          403, "own-draft",
          "Who wrote or submitted a draft does not approve it; somebody else may.");
    case node::ChangeOutcome::unknown_poll:
      return unknown_poll();
    case node::ChangeOutcome::bad_tree:
      return http::problem(409, "overtaken", "The territory tree has changed.");
    case node::ChangeOutcome::overtaken:
      return http::problem(409, "overtaken", "Another change came first: read the poll again.");
    case node::ChangeOutcome::limit_reached:
      return http::problem(
          409, "limit-reached",
          fmt::format("A poll is drafted, submitted and returned at most {} times.",
                      limits::kDraftChanges));
    case node::ChangeOutcome::overloaded:
      return refusal(model::Outcome::overloaded, wire::Language::en);
    case node::ChangeOutcome::draining:
      return refusal(model::Outcome::draining, wire::Language::en);
    case node::ChangeOutcome::starting:
      return refusal(model::Outcome::starting, wire::Language::en);
    case node::ChangeOutcome::unknown:
      break;
  }
  return unknown_change();
}

}  // namespace veche::api
