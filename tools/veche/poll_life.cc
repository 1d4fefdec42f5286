#include "tools/veche/poll_life.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "ingest/wire/poll_json.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

Result<http::Answer> ask_for(ApiClient& client, std::string_view poll, PollStep step,
                             std::string_view reason) {
  json::object body{{"action", json::string_view(step.action.data(), step.action.size())}};
  if (!reason.empty()) body["reason"] = json::string_view(reason.data(), reason.size());
  return client.call_as(step.role, {.method = "POST",
                                    .target = fmt::format("/v1/polls/{}/transitions", poll),
                                    .headers = {{"Content-Type", "application/json"}},
                                    .body = json::serialize(body)});
}

}  // namespace

Result<json::value> take_step(ApiClient& client, std::string_view poll, PollStep step,
                              std::string_view reason) {
  const auto answer = ask_for(client, poll, step, reason);
  if (!answer) return answer.error();
  return parse_answer(*answer);
}

Result<void> bring_to_open(ApiClient& client, const model::PollId& poll, std::string_view reason) {
  for (const auto& step : {kSubmit, kApprove, kOpen}) {
    const auto answer = ask_for(client, poll.view(), step, reason);
    if (!answer) return answer.error();
    if (answer->status != 200 && code_of(*answer) != "wrong-state") return fault_of(*answer);
  }
  return {};
}

Result<void> draft_and_open(ApiClient& client, const model::PollDefinition& poll,
                            std::string_view reason) {
  const auto made = client.post_as(auth::Role::kModerator, "/v1/polls",
                                   json::serialize(wire::write_definition(poll)));
  if (!made) return made.error();
  return bring_to_open(client, poll.id, reason);
}

}  // namespace veche::tools
