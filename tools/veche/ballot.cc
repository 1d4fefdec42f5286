#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/input.h"
#include "tools/veche/output.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

struct BallotOptions {
  ServerOptions server;
  std::string poll;
  std::string voter;
  std::string territory;
  std::uint32_t level = limits::kMaxLevel;
  std::vector<std::string> answers;
  std::string body;
  std::string batch;
  bool json = false;
};

// --- One ballot --------------------------------------------------------------------------------

const json::value* find_question(const json::value& poll, std::string_view id) {
  for (const auto& question : poll.at("questions").as_array())
    if (question.at("id").as_string() == json::string_view(id.data(), id.size())) return &question;
  return nullptr;
}

// "a,b", or "a:2,b:1" where the question counts points.
Result<json::value> choices_of(std::string_view list, bool spreads_points) {
  json::array chosen;
  json::object spread;
  while (!list.empty()) {
    const auto item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    const auto colon = item.rfind(':');
    if (!spreads_points) {
      chosen.emplace_back(json::string(item));
      continue;
    }
    const auto points = colon == item.npos
                            ? std::nullopt
                            : model::parse_number<std::uint32_t>(item.substr(colon + 1));
    if (!points) return Fault{fmt::format("'{}' gives no points; write it as a:2,b:1", item)};
    spread[json::string_view(item.data(), colon)] = *points;
  }
  return spreads_points ? json::value(std::move(spread)) : json::value(std::move(chosen));
}

// The body of a ballot from --answer q1=a,b; the poll's definition tells the kinds of questions.
Result<std::string> body_of(const std::vector<std::string>& answers, const json::value& poll) {
  json::array written;
  for (const auto& answer : answers) {
    const auto sign = answer.find('=');
    const auto id = answer.substr(0, sign);
    const auto* question = sign == answer.npos ? nullptr : find_question(poll, id);
    if (!question)
      return Fault{
          fmt::format("--answer '{}' does not begin with a question of the poll and =", answer)};
    auto choices = choices_of(std::string_view(answer).substr(sign + 1),
                              question->at("kind").as_string() == "points");
    if (!choices) return choices.error();
    written.push_back(json::object{{"question", id}, {"choices", std::move(*choices)}});
  }
  return json::serialize(json::object{{"answers", std::move(written)}});
}

Result<std::string> voter_token(ApiClient& client, const BallotOptions& options) {
  if (!client.token().empty()) return client.token();
  if (!client.issuer() || options.voter.empty())
    return Fault{
        "give the voter's token by --token-file or VECHE_TOKEN, or --keys with --voter and "
        "--territory"};
  const auto poll = model::PollId::parse(options.poll);
  const auto territory = model::TerritoryCode::parse(options.territory);
  if (!poll) return Fault{"--poll is 1 to 64 of a-z, 0-9 and -"};
  if (!territory) return Fault{"--territory is 1 to 32 of 0-9, A-Z, a-z and -"};
  const auth::VoteClaims claims{*poll,
                                sub_of(*poll, options.voter),
                                *territory,
                                {},
                                static_cast<std::uint8_t>(options.level)};
  return client.issuer()->mint_vote(claims, now_seconds(), limits::kTokenLifetime);
}

Result<std::string> read_body(const ApiClient& client, const BallotOptions& options) {
  if (!options.body.empty()) return read_input(options.body);
  if (options.answers.empty()) return Fault{"give --answer q1=a, or --body FILE"};
  const auto poll = client.get("/v1/polls/" + options.poll);
  if (!poll) return poll.error();
  return body_of(options.answers, *poll);
}

Result<Exit> cast_one(ApiClient& client, const BallotOptions& options) {
  const auto token = voter_token(client, options);
  if (!token) return token.error();
  auto body = read_body(client, options);
  if (!body) return body.error();
  const auto answer = client.call(
      {.method = "POST",
       .target = fmt::format("/v1/polls/{}/ballots", options.poll),
       .headers = {{"Authorization", "Bearer " + *token}, {"Content-Type", "application/json"}},
       .body = std::move(*body)});
  if (!answer) return answer.error();
  const auto outcome = parse_answer(*answer);
  if (!outcome) return outcome.error();
  if (options.json)
    print("{}\n", answer->body);
  else
    print("{}  receipt {}\n", std::string(outcome->at("outcome").as_string()),
          std::string(outcome->at("receipt").as_string()));
  return Exit::ok;
}

// --- Batches -----------------------------------------------------------------------------------

struct Sums {
  std::uint64_t lines = 0, accepted = 0, recorded = 0, rejected = 0, unknown = 0;
  json::array items;  // what was not counted, with line numbers of the whole input
};

// As many whole lines as one batch may have, taken off the front of `rest`. A line that is longer
// than a batch goes alone, for the server to refuse it.
std::string take_batch(std::string_view& rest) {
  std::size_t bytes = 0;
  for (std::size_t lines = 0; lines < limits::kBatchLines && bytes < rest.size(); ++lines) {
    const auto end = std::min(rest.find('\n', bytes), rest.size() - 1) + 1;
    if (end > limits::kBatchBodyBytes && lines > 0) break;
    bytes = end;
  }
  std::string batch(rest.substr(0, bytes));
  rest.remove_prefix(bytes);
  return batch;
}

void add_up(Sums& sums, const json::value& answer) {
  const auto number = [&](const char* name) { return answer.at(name).to_number<std::uint64_t>(); };
  for (const auto& item : answer.at("items").as_array()) {
    auto object = item.as_object();
    object["line"] = object.at("line").to_number<std::uint64_t>() + sums.lines;
    sums.items.push_back(std::move(object));
  }
  sums.lines += number("lines");
  sums.accepted += number("accepted");
  sums.recorded += number("recorded");
  sums.rejected += number("rejected");
  sums.unknown += number("unknown");
}

void print_sums(const Sums& sums, bool as_json) {
  if (as_json) {
    print("{}\n", json::serialize(json::object{{"lines", sums.lines},
                                               {"accepted", sums.accepted},
                                               {"recorded", sums.recorded},
                                               {"rejected", sums.rejected},
                                               {"unknown", sums.unknown},
                                               {"items", sums.items}}));
    return;
  }
  for (const auto& item : sums.items) {
    const auto& object = item.as_object();
    const auto* detail = object.if_contains("detail");
    print("line {}: {}{}\n", object.at("line").to_number<std::uint64_t>(),
          std::string(object.at("code").as_string()),
          detail ? ": " + std::string(detail->as_string()) : "");
  }
  print("{} ballots: {} accepted, {} recorded, {} rejected, {} unknown\n", sums.lines,
        sums.accepted, sums.recorded, sums.rejected, sums.unknown);
}

Result<Exit> cast_batch(ApiClient& client, const BallotOptions& options) {
  if (!client.issuer()) return Fault{"a batch is signed: give --keys issuer.json"};
  const auto input = read_input(options.batch);
  if (!input) return input.error();
  Sums sums;
  for (std::string_view rest = *input; !rest.empty();) {
    const auto answer = client.call(batch_call(*client.issuer(), take_batch(rest)));
    if (!answer) return answer.error();
    const auto document = parse_answer(*answer);
    if (!document) return document.error();
    add_up(sums, *document);
  }
  print_sums(sums, options.json);
  return sums.rejected + sums.unknown == 0 ? Exit::ok : Exit::failed;
}

Result<Exit> ballot(const BallotOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  if (!options.batch.empty()) return cast_batch(*client, options);
  if (options.poll.empty()) return Fault{"give --poll ID for one ballot, or --batch FILE for many"};
  return cast_one(*client, options);
}

}  // namespace

void add_ballot(CLI::App& app) {
  auto& command = add_command(
      app, "ballot", "Cast one ballot, or many as a gateway",
      {"veche ballot --poll smolino --token-file token --answer q1=a",
       "veche ballot --poll smolino --keys keys/issuer.json --voter anna --territory 75701310 "
       "--answer q1=a --answer q2=x:2,y:1",
       "veche ballot --batch ballots.ndjson --keys keys/issuer.json"});
  const auto options = std::make_shared<BallotOptions>();
  add_server_option(command, options->server);
  add_signing_options(command, options->server);
  command.add_option("--poll", options->poll, "Poll id")->type_name("ID");
  command.add_option("--voter", options->voter, "Any name of the voter, with --keys");
  command
      .add_option("--territory", options->territory, "Where the voter is registered, with --keys")
      ->type_name("CODE");
  command
      .add_option("--level", options->level, "1 simplified, 2 standard, 3 confirmed, with --keys")
      ->capture_default_str()
      ->check(CLI::Range(limits::kMinLevel, limits::kMaxLevel));
  auto* answers =
      command.add_option("--answer", options->answers, "Choices of a question, or their points")
          ->type_name("QUESTION=OPTION,...");
  auto* body = command.add_option("--body", options->body, "The ballot as JSON; - for stdin")
                   ->excludes(answers)
                   ->type_name("FILE");
  command.add_option("--batch", options->batch, "Ballots as NDJSON, one a line; - for stdin")
      ->excludes(answers)
      ->excludes(body)
      ->type_name("FILE");
  command.add_flag("--json", options->json, "Print JSON");
  on_run(command, [options] { return ballot(*options); });
}

}  // namespace veche::tools
