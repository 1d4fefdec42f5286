#include "ingest/api/ballots.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "engine/model/record.h"
#include "ingest/api/visible.h"
#include "ingest/auth/base64url.h"
#include "ingest/auth/digest.h"
#include "ingest/http/problem.h"
#include "ingest/wire/content_coding.h"

namespace veche::api {
namespace {

using model::Outcome;
using model::PollPhase;

std::uint32_t unix_hour() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::hours>(now).count());
}

// The last line may go without its end. By memchr, which std::count does not use.
std::size_t count_lines(std::string_view body) {
  std::size_t lines = 0;
  while (!body.empty()) {
    body.remove_prefix(std::min(body.find('\n'), body.size() - 1) + 1);
    ++lines;
  }
  return lines;
}

bool is_counted(Outcome outcome) {
  return outcome == Outcome::accepted || outcome == Outcome::recorded;
}

}  // namespace

// --- One ballot --------------------------------------------------------------------------------

void Ballots::post_ballot(const http::Request& request, std::string_view poll,
                          http::Responder responder) {
  const auto language = wire::language(request.head.accept_language);
  const auto results = request.head.query("results");
  if (results && *results != "1")
    return responder.send(http::problem(400, "bad-parameter", "results is 1, or left out"));
  const auto claims =
      local_.verifier().verify_vote(bearer(request.head.authorization), now_seconds());
  if (!claims) return responder.send(refusal(claims.error()));
  const auto id = model::PollId::parse(poll);
  if (!id) return responder.send(refusal(Outcome::unknown_poll, language));
  if (claims->poll != *id)
    return responder.send(http::problem(403, "poll-mismatch", "The token is for another poll."));
  Cast cast{claims->poll,
            local_.secret_of(claims->poll).voter_key(claims->sub),
            claims->territory,
            {claims->addrs.begin(), claims->addrs.end()},
            claims->level};
  cast_single(std::move(cast), request.body, responder, {language, results.has_value()}, false);
}

void Ballots::cast_single(Cast cast, std::string_view body, http::Responder responder,
                          Manner manner, bool behind_barrier) {
  const auto language = manner.language;
  const auto answers = reader_.read(body);
  if (!answers) return responder.send(http::problem(400, "malformed", answers.error().message));
  auto decision = decide(cast, **answers, behind_barrier);
  if (decision.needs_barrier) {
    auto again = [this, cast = std::move(cast), body = std::string(body), responder,
                  manner](bool passed) {
      local_.app.node.release(1);
      if (!passed) return responder.send(refusal(Outcome::outcome_unknown, manner.language));
      cast_single(cast, body, responder, manner, true);
    };
    if (!local_.app.node.reserve(1)) return responder.send(refusal(Outcome::overloaded, language));
    return local_.app.node.barrier(
        [&worker = local_.worker, again = std::move(again)](bool passed) mutable {
          worker.post([again = std::move(again), passed] { again(passed); });
        });
  }
  Waiting waiting{responder,          nullptr, 0, cast.poll, language, std::move(decision.faults),
                  manner.with_results};
  if (decision.outcome) return answer_single(waiting, *decision.outcome, {});
  if (!local_.app.node.reserve(1)) return answer_single(waiting, Outcome::overloaded, {});
  send(std::move(decision.request), std::move(waiting));
}

// A definite "no" about the poll itself is given behind a barrier only: until then somebody else
// may have opened it.
Ballots::Decision Ballots::decide(const Cast& cast, const model::NamedAnswers& answers,
                                  bool behind_barrier) {
  Decision decision;
  const auto poll = public_poll(local_, cast.poll);
  const bool never_opened = !poll || poll->phase == PollPhase::scheduled ||
                            (poll->phase == PollPhase::cancelled && !poll->was_open);
  if (never_opened) {
    decision.needs_barrier = !behind_barrier;
    decision.outcome = !poll                                 ? Outcome::unknown_poll
                       : poll->phase == PollPhase::scheduled ? Outcome::poll_not_open
                                                             : Outcome::poll_cancelled;
    return decision;
  }
  auto judgement = admit::judge(*poll, {cast.territory, cast.addresses, cast.level}, answers);
  auto& request = decision.request;
  request.poll = cast.poll;
  request.voter = cast.voter;
  request.refusal = judgement.refusal;
  request.reply_to = this;
  if (judgement.faults.empty()) {
    const auto canonical = model::serialize(judgement.answers);
    request.digest = auth::digest_of(cast.poll, canonical);
    request.ballot = model::serialize_ballot(cast.poll, cast.voter, cast.territory, cast.level,
                                             canonical, *request.digest, unix_hour());
  }
  decision.faults = std::move(judgement.faults);
  return decision;
}

void Ballots::answer_single(const Waiting& waiting, Outcome outcome, std::string receipt) {
  local_.app.metrics.count(outcome);
  const auto text = wire::describe(outcome, waiting.language);
  if (is_counted(outcome)) {
    auto counted = fmt::format(FMT_COMPILE(R"({{"outcome":"{}","poll":"{}","receipt":"{}"}})"),
                               text.code, waiting.poll.view(), receipt);
    if (waiting.with_results)
      return answer_with_results(*waiting.responder, waiting.poll, text.status, std::move(counted));
    return waiting.responder->send(json_response(text.status, std::move(counted)));
  }
  if (outcome != Outcome::invalid_answer)
    return waiting.responder->send(refusal(outcome, waiting.language));
  waiting.responder->send(faulty_document(text.status, text.code, text.detail, waiting.faults));
}

// Gathered after the ballot was counted, so it is among them where they are exact; null where even
// a voter may not see them now, and where there was no time to gather them.
void Ballots::answer_with_results(const http::Responder& responder, const model::PollId& poll,
                                  std::uint16_t status, std::string counted) {
  counted.pop_back();  // the closing brace
  const auto send = [&worker = local_.worker, responder, status,
                     counted = std::move(counted)](const http::Response& results) {
    const bool is_shown = results.status == 200 && worker.has_room_for_large_answer();
    const auto document = is_shown ? std::string_view(results.body) : "null";
    responder.send(json_response(status, fmt::format(R"({},"results":{}}})", counted, document)));
  };
  if (!local_.worker.has_room_for_large_answer()) return send({.status = 503});
  results_.for_voter(poll, [send](http::Response&& results) { send(results); });
}

// --- Batches -----------------------------------------------------------------------------------

void Ballots::post_batch(const http::Request& request, http::Responder responder) {
  const auto claims =
      local_.verifier().verify_batch(bearer(request.head.authorization), now_seconds());
  if (!claims) return responder.send(refusal(claims.error()));
  if (auto refused = decode_batch(request)) return responder.send(std::move(*refused));
  if (auto refused = refuse_batch(*claims, decoded_)) return responder.send(std::move(*refused));
  const auto language = wire::language(request.head.accept_language);
  if (!has_room_for_batch() || !local_.app.node.reserve(claims->lines))
    return responder.send(refusal(Outcome::overloaded, language));
  const auto detail = request.head.query("detail");
  auto batch = std::make_shared<Batch>(Batch{responder, language, detail == "all", claims->limits,
                                             std::exchange(decoded_, {}),
                                             std::vector<Line>(claims->lines), claims->lines});
  ++batches_;
  count_bodies(static_cast<std::ptrdiff_t>(batch->body.capacity()));
  slices_.run([this, batch] { return read_line(batch); });
}

// Into decoded_, as far as there is room for it.
std::optional<http::Response> Ballots::decode_batch(const http::Request& request) {
  const auto room = local_.worker.received().room();
  const auto limit = std::min(limits::kBatchBodyBytes, room);
  std::string().swap(decoded_);  // a refused one may have left its memory
  switch (
      wire::decode(wire::coding(request.head.content_encoding), request.body, limit, decoded_)) {
    case wire::Decoding::done:
      return std::nullopt;
    case wire::Decoding::too_large:
      if (limit < limits::kBatchBodyBytes)
        return refusal(Outcome::overloaded, wire::language(request.head.accept_language));
      return http::problem(
          413, "too-large",
          fmt::format("At most {} bytes after decompression.", limits::kBatchBodyBytes));
    case wire::Decoding::broken:
      break;
  }
  return http::problem(400, "malformed", "The body is not what Content-Encoding says.");
}

// The answer may be a while.
void Ballots::forget_body(Batch& batch) {
  count_bodies(-static_cast<std::ptrdiff_t>(batch.body.capacity()));
  std::string().swap(batch.body);
}

void Ballots::count_bodies(std::ptrdiff_t more_bytes) {
  body_bytes_ += static_cast<std::size_t>(more_bytes);
  bodies_part_.set(body_bytes_);
}

// The token speaks for exactly this body.
std::optional<http::Response> Ballots::refuse_batch(const auth::BatchClaims& claims,
                                                    std::string_view body) {
  const auto no = [](const char* why) { return refusal({auth::TokenError::kInvalid, why}); };
  if (auth::sha256(body) != claims.body_sha256) return no("the token is for another body");
  const auto lines = count_lines(body);
  if (lines > limits::kBatchLines)
    return http::problem(413, "too-large",
                         fmt::format("A batch has at most {} lines.", limits::kBatchLines));
  if (lines != claims.lines) return no("the token is for another number of lines");
  return std::nullopt;
}

// False: that was the last one. The engine has the first lines while the last ones are read.
bool Ballots::read_line(const std::shared_ptr<Batch>& batch) {
  const auto rest = std::string_view(batch->body).substr(batch->next_byte);
  auto line = rest.substr(0, rest.find('\n'));
  batch->next_byte += std::min(line.size() + 1, rest.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  cast_line(batch, batch->next_line, line, false);
  if (++batch->next_line < batch->lines.size()) return true;
  if (batch->behind_barrier.empty())
    forget_body(*batch);
  else
    read_again_behind_barrier(batch);
  return false;
}

// Lines about polls that this node does not know as open: decided once more behind one barrier.
void Ballots::read_again_behind_barrier(const std::shared_ptr<Batch>& batch) {
  auto again = [this, batch](bool passed) {
    slices_.run([this, batch, passed] { return read_line_again(batch, passed); });
  };
  local_.app.node.barrier([&worker = local_.worker, again = std::move(again)](bool passed) mutable {
    worker.post([again = std::move(again), passed] { again(passed); });
  });
}

bool Ballots::read_line_again(const std::shared_ptr<Batch>& batch, bool passed) {
  const auto [number, text] = batch->behind_barrier[batch->next_behind];
  if (passed) {
    cast_line(batch, number, text, true);
  } else {
    batch->lines[number].outcome = Outcome::outcome_unknown;
    local_.app.node.release(1);
    line_done(batch);
  }
  if (++batch->next_behind < batch->behind_barrier.size()) return true;
  forget_body(*batch);
  return false;
}

void Ballots::cast_line(const std::shared_ptr<Batch>& batch, std::size_t number,
                        std::string_view text, bool behind_barrier) {
  auto& result = batch->lines[number];
  const auto refuse = [&](Line line) {
    result = std::move(line);
    local_.app.node.release(1);
    line_done(batch);
  };
  if (text.size() > limits::kBatchLineBytes)
    return refuse({Outcome::invalid_answer,
                   413,
                   "too-large",
                   fmt::format("A line has at most {} bytes.", limits::kBatchLineBytes),
                   {}});
  const auto line = reader_.read_line(text);
  if (!line) return refuse({Outcome::invalid_answer, 400, "malformed", line.error().message, {}});
  Line refused;
  const auto cast = line_cast(**line, *batch->gateway, refused);
  if (!cast) return refuse(std::move(refused));
  auto decision = decide(*cast, (*line)->answers, behind_barrier);
  if (decision.needs_barrier) {
    batch->behind_barrier.emplace_back(number, text);
    return;
  }
  if (decision.outcome) {
    local_.app.metrics.count(*decision.outcome);
    return refuse({*decision.outcome, 0, {}, {}, {}});
  }
  decision.faults.resize(std::min<std::size_t>(decision.faults.size(), 1));  // one is told
  send(std::move(decision.request), {std::nullopt, batch, number, cast->poll, batch->language,
                                     std::move(decision.faults), false});
}

// Who votes by this line: by the voter's own token, or by the gateway's word within its limits.
std::optional<Ballots::Cast> Ballots::line_cast(const wire::BatchLine& line,
                                                const auth::BatchLimits& gateway, Line& refused) {
  const auto no = [&](std::uint16_t status, std::string_view code, std::string detail) {
    refused = {Outcome::invalid_answer, status, code, std::move(detail), {}};
    return std::nullopt;
  };
  if (line.token) {
    const auto claims = local_.verifier().verify_vote(*line.token, now_seconds());
    if (!claims)
      return no(
          401,
          claims.error().error == auth::TokenError::kExpired ? "token-expired" : "token-invalid",
          claims.error().reason);
    return Cast{claims->poll,
                local_.secret_of(claims->poll).voter_key(claims->sub),
                claims->territory,
                {claims->addrs.begin(), claims->addrs.end()},
                claims->level};
  }
  Cast cast;
  const auto poll = model::PollId::parse(line.poll);
  const auto territory = model::TerritoryCode::parse(line.territory);
  const auto sub = auth::base64url_decode_exactly<32>(line.voter);
  if (!poll) return no(404, "unknown-poll", "There is no such poll.");
  if (!territory || line.level < limits::kMinLevel || line.level > limits::kMaxLevel || !sub)
    return no(400, "malformed",
              "voter is 43 letters of base64url, territory a code, level 1, 2 or 3");
  for (const auto text : line.addresses) {
    const auto address = model::AddressCode::parse(text);
    if (!address) return no(400, "malformed", "an addr is no address code");
    cast.addresses.push_back(*address);
  }
  if (!gateway.polls.allows([&](const auto& allowed) { return allowed == *poll; }))
    return no(403, "poll-mismatch", "The gateway's key is not for this poll.");
  const auto entry = public_poll(local_, *poll);
  const bool within = !entry || gateway.territories.allows([&](const auto& allowed) {
    return entry->tree->is_within(*territory, allowed);
  });
  if (!within) return no(403, "not-eligible", "The gateway's key is not for this territory.");
  // Addresses lie anywhere: no tree tells that one is within the territories of the key.
  if (gateway.territories.is_set() && !gateway.polls.is_set()) cast.addresses.clear();
  cast.poll = *poll;
  cast.voter = local_.secret_of(*poll).voter_key(*sub);
  cast.territory = *territory;
  cast.level = static_cast<std::uint8_t>(line.level);
  return cast;
}

void Ballots::line_done(const std::shared_ptr<Batch>& batch) {
  if (--batch->missing > 0) return;
  slices_.run([this, batch] { return tell_line(*batch); });
}

// False: that was the last one, and the batch is answered.
bool Ballots::tell_line(Batch& batch) {
  namespace json = boost::json;
  const auto& line = batch.lines[batch.told_lines++];
  const auto text = wire::describe(line.outcome, batch.language);
  const auto status = line.status != 0 ? line.status : text.status;
  const auto code = line.status != 0 ? line.code : text.code;
  batch.accepted += status == 201;
  batch.recorded += status == 200;
  batch.unknown += status == 503;
  if (!is_counted(line.outcome) || batch.detail_all) {
    json::object item{{"line", batch.told_lines}, {"status", status}};
    item[is_counted(line.outcome) ? "outcome" : "code"] = json::string(code);
    if (!line.receipt.empty()) item["receipt"] = line.receipt;
    if (!line.detail.empty()) item["detail"] = line.detail;
    if (!batch.detail_all && !batch.items.empty()) batch.items += ',';
    batch.items += json::serialize(item);
    if (batch.detail_all) batch.items += '\n';
  }
  if (batch.told_lines < batch.lines.size()) return true;
  answer_batch(batch);
  return false;
}

void Ballots::answer_batch(Batch& batch) {
  --batches_;
  if (batch.detail_all)
    return batch.responder.send({200, "application/x-ndjson", std::move(batch.items), {}});
  const auto lines = batch.lines.size();
  batch.responder.send(json_response(
      200, fmt::format(R"({{"lines":{},"accepted":{},"recorded":{},"rejected":{},"unknown":{},)"
                       R"("items":[{}]}})",
                       lines, batch.accepted, batch.recorded,
                       lines - batch.accepted - batch.recorded - batch.unknown, batch.unknown,
                       batch.items)));
}

// --- To the engine and back --------------------------------------------------------------------

void Ballots::send(node::BallotRequest request, Waiting waiting) {
  if (free_tickets_.empty()) {
    free_tickets_.push_back(waiting_.size());
    waiting_.emplace_back();
  }
  request.ticket = free_tickets_.back();
  free_tickets_.pop_back();
  waiting_[request.ticket] = std::move(waiting);
  // The first of a round asks for one flush behind everything that is ready now.
  if (outgoing_.empty()) local_.worker.post([this] { flush(); });
  outgoing_.push_back(std::move(request));
}

void Ballots::flush() {
  if (!outgoing_.empty()) local_.app.node.submit(std::exchange(outgoing_, {}));
}

void Ballots::deliver(std::vector<node::Reply> replies) {
  local_.worker.post([this, replies = std::move(replies)]() mutable {
    slices_.run([this, replies = std::move(replies), next = std::size_t{0}]() mutable {
      on_reply(replies[next]);
      return ++next < replies.size();
    });
  });
}

void Ballots::on_reply(const node::Reply& reply) {
  const auto waiting = take_waiting(reply.ticket);
  std::string receipt;
  if (is_counted(reply.outcome) && (!waiting.batch || waiting.batch->detail_all))
    receipt = local_.secret_of(waiting.poll).receipt(reply.partition, reply.offset);
  if (!waiting.batch) return answer_single(waiting, reply.outcome, std::move(receipt));
  local_.app.metrics.count(reply.outcome);
  auto& line = waiting.batch->lines[waiting.line];
  line.outcome = reply.outcome;
  line.receipt = std::move(receipt);
  if (reply.outcome == Outcome::invalid_answer && !waiting.faults.empty())
    line.detail = fmt::format("{}: {}", waiting.faults[0].pointer, waiting.faults[0].detail);
  line_done(waiting.batch);
}

Ballots::Waiting Ballots::take_waiting(std::uint64_t ticket) {
  free_tickets_.push_back(ticket);
  return std::exchange(waiting_[ticket], Waiting());
}

}  // namespace veche::api
