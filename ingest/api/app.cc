#include "ingest/api/app.h"

#include <fmt/format.h>

#include "engine/model/limits.h"
#include "ingest/http/event_stream.h"
#include "ingest/http/problem.h"
#include "ingest/wire/header_list.h"

namespace veche::api {

auth::Verifier& Local::verifier() {
  if (const auto version = app.keys_version(); version != keys_version_) {
    verifier_ = std::make_unique<auth::Verifier>(app.keys());
    keys_version_ = version;
  }
  return *verifier_;
}

const model::Directory& Local::directory() {
  if (const auto version = app.node.directory_version(); version != directory_version_) {
    directory_ = app.node.directory();
    directory_version_ = version;
  }
  return *directory_;
}

auth::PollSecret& Local::secret_of(const model::PollId& poll) {
  const auto found = secrets_.find(poll);
  if (found != secrets_.end()) return found->second;
  if (secrets_.size() >= limits::kPollSecretsPerThread) secrets_.clear();
  return secrets_.emplace(poll, app.voter_secret.for_poll(poll)).first->second;
}

std::chrono::sys_seconds now_seconds() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

model::Date today(const std::optional<wire::TimeZone>& zone) {
  const auto now = now_seconds();
  return zone ? zone->date_of(now) : model::date_of(now);
}

std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i)  // the scheme's case does not matter: RFC 9110
    if ((authorization[i] | 0x20) != (kScheme[i] | 0x20)) return {};
  return authorization.substr(kScheme.size());
}

bool wants_csv(const http::RequestHead& head) {
  return wire::prefers(head.accept, "text/csv", "application/json");
}

http::Response refusal(model::Outcome outcome, wire::Language language) {
  const auto text = wire::describe(outcome, language);
  auto response = text.status == 503 ? http::unavailable(text.code, text.detail)
                                     : http::problem(text.status, text.code, text.detail);
  response.with(http::Header::content_language, language == wire::Language::ru ? "ru" : "en");
  return response;
}

http::Response refusal(const auth::TokenRefusal& token) {
  const auto code = token.error == auth::TokenError::kMissing   ? "token-missing"
                    : token.error == auth::TokenError::kExpired ? "token-expired"
                                                                : "token-invalid";
  auto response = http::problem(401, code, token.reason);
  response.with(http::Header::www_authenticate, "Bearer");
  return response;
}

http::Response refusal_of_stream(http::Response response) {
  return response.status == 503 ? http::come_back_later("not now") : std::move(response);
}

http::Response unknown_change() {
  return http::unavailable(
      "outcome-unknown", "It is not known yet whether the change was made: look, then ask again.");
}

http::Response unknown_yet() {
  return http::unavailable("outcome-unknown",
                           "The log did not tell in time what was asked, and nothing was changed: "
                           "ask again.");
}

http::Response faulty_document(std::uint16_t status, std::string_view code, std::string_view detail,
                               const std::vector<model::DocumentFault>& faults) {
  std::vector<http::BodyError> errors;
  for (const auto& fault : faults) errors.push_back({fault.pointer, fault.code, fault.detail});
  return http::problem(status, code, detail, errors);
}

http::Response json_response(std::uint16_t status, http::Body body) {
  return {status, "application/json", std::move(body), {}};
}

}  // namespace veche::api
