// The life of a poll in the hands of staff: drafted, edited, submitted, approved or returned,
// opened, closed, certified, cancelled. What is done is judged by the log alone (apply::judge);
// here is decided who may ask for it.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "ingest/api/app.h"
#include "ingest/api/certificates.h"
#include "ingest/wire/poll_json.h"

namespace veche::api {

class Life {
 public:
  Life(Local& local, Certificates& certificates) : local_(local), certificates_(certificates) {}

  void create(const http::Request& request, http::Responder responder);
  // The whole definition, as in create, with If-Match: "VERSION" of the one that it replaces.
  void edit(const http::Request& request, std::string_view poll, http::Responder responder);
  // {"action": "...", "reason": "..."}; with If-Match for the version that was read, else for the
  // one that the role was judged by.
  void transition(const http::Request& request, std::string_view poll, http::Responder responder);
  // Whose roles allow none of the actions.
  static std::optional<http::Response> refuse_transition(const auth::StaffClaims& claims);

 private:
  std::optional<node::PollChangeRequest> read_draft(std::string_view body,
                                                    const StaffMember& member,
                                                    const http::Responder& responder);
  model::Date opening_day(const wire::ReadPoll& read) const;
  // By whom the version that a change replaces was named.
  enum class Named : std::uint8_t { by_client, here };
  void change(node::PollChangeRequest request, http::Responder responder,
              Named version = Named::by_client);
  static http::Response answer(const node::PollChangeRequest& request,
                               const node::ChangeResult& result);

  Local& local_;
  Certificates& certificates_;
};

// The refusals that every change of a poll shares; `done` is none of them.
http::Response refused_change(const node::ChangeResult& result);

}  // namespace veche::api
