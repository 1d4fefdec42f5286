#include "tools/veche/api_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "engine/model/limits.h"
#include "ingest/auth/digest.h"
#include "tools/veche/input.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kAnswerTimeout{30};
constexpr std::chrono::minutes kStaffLifetime{10};

std::string text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

// The members of an application/problem+json; empty where the body is none.
json::object problem_of(const http::Answer& answer) {
  boost::system::error_code error;
  auto value = json::parse(answer.body, error);
  if (error || !value.is_object()) return {};
  return std::move(value.get_object());
}

// What may stand in a header; a line end behind it is the file's.
Result<std::string> read_token(const ServerOptions& options) {
  std::string token;
  if (!options.token_file.empty()) {
    auto text = read_input(options.token_file);
    if (!text) return text.error();
    token = *std::move(text);
  } else if (const auto* variable = options.takes_token ? std::getenv("VECHE_TOKEN") : nullptr) {
    token = variable;
  }
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back()))) token.pop_back();
  if (token.empty() && !options.token_file.empty())
    return Fault{fmt::format("{} holds no token", options.token_file)};
  if (std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c > '~'; }))
    return Fault{"the token is no token: it is one line of visible ASCII"};
  return token;
}

std::string_view name_of(auth::Role role) {
  for (const auto& named : auth::kRoles)
    if (named.role == role) return named.name;
  return "unknown";
}

}  // namespace

void add_server_option(CLI::App& command, ServerOptions& options) {
  command.add_option("--server", options.url, "Address of the server, as http://host:port")
      ->capture_default_str()
      ->type_name("URL");
}

void add_token_option(CLI::App& command, ServerOptions& options, const std::string& what) {
  options.takes_token = true;
  command
      .add_option("--token-file", options.token_file,
                  what + "; - for stdin, and without it VECHE_TOKEN")
      ->type_name("FILE");
  const auto refuse = [](const std::string&) -> std::string {
    // A ValidationError would be told under the name of the option, and a hidden one has none.
    throw CLI::ConversionError(
        "--token: everybody on this machine could read it from the list of processes: put the "
        "token into the variable VECHE_TOKEN, or into a file for --token-file (- is stdin)");
  };
  command.add_option("--token")->group("")->configurable(false)->check(refuse);
}

void add_signing_options(CLI::App& command, ServerOptions& options) {
  command.add_option("--keys", options.keys, "issuer.json of `veche keygen`, to sign with")
      ->type_name("FILE");
  add_token_option(command, options, "A token that was made elsewhere, before --keys");
}

void add_staff_options(CLI::App& command, ServerOptions& options) {
  add_signing_options(command, options);
  command.add_option("--sub", options.sub, "Pseudonym to sign as with --keys, default veche-ROLE")
      ->type_name("NAME");
}

auth::Bytes32 sub_of(const model::PollId& poll, std::string_view voter_id) {
  std::string message(poll.view());
  message += '\0';
  message += voter_id;
  return auth::sha256(message);
}

std::chrono::sys_seconds now_seconds() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string code_of(const http::Answer& answer) {
  auto code = text_at(problem_of(answer), "code");
  return code.empty() ? std::to_string(answer.status) : code;
}

Fault fault_of(const http::Answer& answer) {
  const auto problem = problem_of(answer);
  auto message = fmt::format("the server answers {} {}", answer.status, text_at(problem, "code"));
  if (const auto detail = text_at(problem, "detail"); !detail.empty()) message += ": " + detail;
  const auto* errors = problem.if_contains("errors");
  if (errors && errors->is_array())
    for (const auto& error : errors->get_array())
      if (const auto* object = error.if_object())
        message += fmt::format("\n  {} {}: {}", text_at(*object, "pointer"),
                               text_at(*object, "code"), text_at(*object, "detail"));
  return Fault{std::move(message)};
}

Result<ApiClient> ApiClient::connect(const ServerOptions& options) {
  ApiClient client(options);
  auto token = read_token(options);
  if (!token) return token.error();
  client.token_ = *std::move(token);
  if (options.keys.empty()) return client;
  auto issuer = auth::Issuer::load(options.keys);
  if (!issuer) return issuer.error();
  client.issuer_.emplace(std::move(*issuer));
  return client;
}

Result<http::Answer> ApiClient::call(http::Call call) const {
  const auto give_up = std::chrono::steady_clock::now() + patience_;
  std::optional<http::Call> to_send = std::move(call);
  http::Answer last;
  const auto next = [&](std::size_t) { return std::exchange(to_send, std::nullopt); };
  const auto keep = [&](std::size_t, http::Call&, const http::Answer& answer) {
    last = answer;
    const bool again =
        answer.status == kServiceUnavailable && std::chrono::steady_clock::now() < give_up;
    return again ? http::Verdict::again(answer.retry_after.value_or(std::chrono::seconds(1)))
                 : http::Verdict::done();
  };
  const auto report = http::run_load(
      url_, {.connections = 1, .answer_timeout = kAnswerTimeout, .patience = patience_}, next,
      keep);
  if (!report) return report.error();
  return last;
}

Result<http::Answer> ApiClient::call_as(auth::Role role, http::Call call) {
  auto token = staff_token(role);
  if (!token) return token.error();
  call.headers.emplace_back("Authorization", "Bearer " + *token);
  return this->call(std::move(call));
}

Result<std::string> ApiClient::staff_token(auth::Role role) {
  if (!token_.empty()) return token_;
  if (!issuer_)
    return Fault{"this needs a staff token: give --keys issuer.json, --token-file or VECHE_TOKEN"};
  // One pseudonym for each role: whoever has these keys is all of them, but no draft is approved
  // by its drafter.
  const auto sub = sub_.empty() ? fmt::format("veche-{}", name_of(role)) : sub_;
  return issuer_->mint_staff({sub, {role}, {}}, now_seconds(), kStaffLifetime);
}

Result<json::value> ApiClient::get(std::string_view target) const {
  const auto answer = call({.target = std::string(target)});
  if (!answer) return answer.error();
  return parse_answer(*answer);
}

Result<json::value> ApiClient::get_as_staff(std::string_view target) {
  if (token_.empty() && !issuer_) return get(target);
  const auto answer = call_as(auth::Role::kAuditor, {.target = std::string(target)});
  if (!answer) return answer.error();
  return parse_answer(*answer);
}

Result<json::value> ApiClient::post_as(auth::Role role, std::string_view target, std::string body) {
  const auto answer = call_as(role, {.method = "POST",
                                     .target = std::string(target),
                                     .headers = {{"Content-Type", "application/json"}},
                                     .body = std::move(body)});
  if (!answer) return answer.error();
  return parse_answer(*answer);
}

Result<json::value> parse_answer(const http::Answer& answer) {
  if (answer.status / 100 != 2) return fault_of(answer);
  boost::system::error_code error;
  auto value = json::parse(answer.body, error);
  if (error || !value.is_object())
    return Fault{"the server's answer is not a JSON object: is it a Veche server?"};
  return value;
}

std::uint32_t count_lines(std::string_view body) {
  const auto ends = std::count(body.begin(), body.end(), '\n');
  return static_cast<std::uint32_t>(ends) + (!body.empty() && !body.ends_with('\n') ? 1 : 0);
}

http::Call batch_call(auth::Issuer& issuer, std::string body) {
  const auto token = issuer.mint_batch(auth::sha256(body), count_lines(body), now_seconds(),
                                       limits::kTokenLifetime);
  return {
      .method = "POST",
      .target = "/v1/ballots",
      .headers = {{"Authorization", "Bearer " + token}, {"Content-Type", "application/x-ndjson"}},
      .body = std::move(body)};
}

}  // namespace veche::tools
