// Who may know of a poll. Every route that names a poll asks here, so that a draft is nowhere to
// be seen: not in what is shown, and not in how a refusal differs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/directory.h"
#include "ingest/api/staff.h"

namespace veche::api {

// One reader of one request: his staff token is looked at when a draft is met, once. Lives no
// longer than the request's head.
class Reader {
 public:
  Reader(Local& local, const http::RequestHead& head)
      : local_(local), authorization_(head.authorization) {}

  // Everybody sees a poll that was approved. A draft, also one that was cancelled, is seen by those
  // who draft, approve and audit, where their territories hold its targets.
  bool sees(const model::PollEntry& poll);
  // Looks at the token, if it was not done yet.
  void look();

 private:
  Local& local_;
  std::string_view authorization_;
  std::optional<std::optional<StaffMember>> staff_;  // outer: looked at; inner: a token that fits
};

// The poll of a path, if this reader may know of it; else nullptr, which is to be answered as
// unknown_poll() whatever the reason.
std::shared_ptr<const model::PollEntry> visible_poll(Local& local, const http::RequestHead& head,
                                                     std::string_view poll);
// The same for requests that no staff token can come with: ballots.
std::shared_ptr<const model::PollEntry> public_poll(Local& local, const model::PollId& poll);

// Calls `then` on this thread with the poll, if this reader may know of it; a "no" has been asked
// for behind a barrier, so that it is not older than the request. Sends the refusal else.
using PollSeen = std::function<void(std::shared_ptr<const model::PollEntry>)>;
void when_visible(Local& local, const http::RequestHead& head, std::string_view poll,
                  const http::Responder& responder, PollSeen then);

http::Response unknown_poll();

}  // namespace veche::api
