// Veche's HTTP interface as the commands use it: JSON in and out, staff tokens as they are needed,
// refusals as faults for people. Blocks; for one thread.
#pragma once

#include <CLI/App.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/result.h"
#include "ingest/auth/issuer.h"
#include "ingest/http/client.h"

namespace veche::tools {

inline constexpr int kServiceUnavailable = 503;  // "not now": the same call may succeed later

// The options that commands for a running server share.
struct ServerOptions {
  std::string url = "http://127.0.0.1:8080";
  std::string keys;             // path of issuer.json
  std::string token_file = {};  // with a token, which is stronger than keys
  bool takes_token = false;     // the command has the option for it, and then the variable too
  std::string sub = {};         // the pseudonym of staff to sign as; empty: one for each role
};

void add_server_option(CLI::App& command, ServerOptions& options);
// --token-file, and VECHE_TOKEN. A token on the command line would be everybody's: it is refused.
void add_token_option(CLI::App& command, ServerOptions& options, const std::string& what);
// --keys and --token-file, for commands that need the word of somebody.
void add_signing_options(CLI::App& command, ServerOptions& options);
// And --sub, for commands that staff answer for by their pseudonyms.
void add_staff_options(CLI::App& command, ServerOptions& options);

// The voter's pseudonym where no identity side makes one: SHA-256(poll id, a zero byte, voter id).
auth::Bytes32 sub_of(const model::PollId& poll, std::string_view voter_id);

std::chrono::sys_seconds now_seconds();

// Where the territory tree of polls that open today is: on the server's day. One for later may be
// loaded already.
inline constexpr const char* kTodaysTree = "/v1/territories?on=today";

// The code of a refusal, such as "already-voted", or its status where the body names none.
std::string code_of(const http::Answer& answer);
// The refusal with its detail and everything it lists.
Fault fault_of(const http::Answer& answer);

class ApiClient {
 public:
  // Loads the keys and the token, if there are any.
  static Result<ApiClient> connect(const ServerOptions& options);

  // For how long a call is tried again while no server answers, or it answers 503.
  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  const std::string& url() const { return url_; }
  // Empty without one.
  const std::string& token() const { return token_; }
  // Null without keys.
  auth::Issuer* issuer() { return issuer_ ? &*issuer_ : nullptr; }

  // Any answer, whatever its status.
  Result<http::Answer> call(http::Call call) const;
  // With a staff token that holds the role.
  Result<http::Answer> call_as(auth::Role role, http::Call call);

  // The document of a 2xx answer; any other answer is a fault.
  Result<boost::json::value> get(std::string_view target) const;
  // The same with all that staff may see, where there is something to sign with.
  Result<boost::json::value> get_as_staff(std::string_view target);
  Result<boost::json::value> post_as(auth::Role role, std::string_view target, std::string body);

 private:
  explicit ApiClient(const ServerOptions& options) : url_(options.url), sub_(options.sub) {}
  Result<std::string> staff_token(auth::Role role);

  std::string url_;
  std::string token_;
  std::string sub_;
  std::optional<auth::Issuer> issuer_;
  std::chrono::milliseconds patience_{0};
};

Result<boost::json::value> parse_answer(const http::Answer& answer);

// How many lines a batch has: the last may go without its line end.
std::uint32_t count_lines(std::string_view body);
// A batch as a gateway sends it.
http::Call batch_call(auth::Issuer& issuer, std::string body);

}  // namespace veche::tools
