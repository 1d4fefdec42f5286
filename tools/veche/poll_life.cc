#include "tools/veche/poll_life.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <thread>

#include "ingest/wire/poll_json.h"
#include "tools/veche/interrupt.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kLook{100};  // at results that are not final yet

Result<http::Answer> ask_for(ApiClient& client, std::string_view poll, PollStep step,
                             std::string_view reason) {
  json::object body{{"action", json::string_view(step.action.data(), step.action.size())}};
  if (!reason.empty()) body["reason"] = json::string_view(reason.data(), reason.size());
  return client.call_as(step.role, {.method = "POST",
                                    .target = fmt::format("/v1/polls/{}/transitions", poll),
                                    .headers = {{"Content-Type", "application/json"}},
                                    .body = json::serialize(body)});
}

// Others may have taken it before.
Result<void> take_if_due(ApiClient& client, std::string_view poll, PollStep step,
                         std::string_view reason) {
  const auto answer = ask_for(client, poll, step, reason);
  if (!answer) return answer.error();
  if (answer->status != 200 && code_of(*answer) != "wrong-state") return fault_of(*answer);
  return {};
}

}  // namespace

Result<json::value> take_step(ApiClient& client, std::string_view poll, PollStep step,
                              std::string_view reason) {
  const auto answer = ask_for(client, poll, step, reason);
  if (!answer) return answer.error();
  return parse_answer(*answer);
}

Result<void> bring_to_open(ApiClient& client, const model::PollId& poll, std::string_view reason) {
  for (const auto& step : {kSubmit, kApprove, kOpen})
    if (auto taken = take_if_due(client, poll.view(), step, reason); !taken) return taken;
  return {};
}

Result<void> draft_and_open(ApiClient& client, const model::PollDefinition& poll,
                            std::string_view reason) {
  const auto made = client.post_as(auth::Role::kModerator, "/v1/polls",
                                   json::serialize(wire::write_definition(poll)));
  if (!made) return made.error();
  return bring_to_open(client, poll.id, reason);
}

Result<void> bring_to_close(ApiClient& client, const model::PollId& poll, std::string_view reason) {
  return take_if_due(client, poll.view(), kClose, reason);
}

Result<json::value> final_results(const ApiClient& client, const model::PollId& poll,
                                  std::chrono::seconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  const bool was_interrupted = interrupted();
  const auto target = fmt::format("/v1/polls/{}/results?by=territory", poll.view());
  for (;;) {
    auto results = client.get(target);
    if (!results || results->at("final").as_bool()) return results;
    const bool is_over = std::chrono::steady_clock::now() >= give_up;
    if (is_over || interrupted() != was_interrupted)
      return Fault{fmt::format("the results of {} are not final yet, its state is {}", poll.view(),
                               std::string_view(results->at("state").as_string()))};
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace veche::tools
