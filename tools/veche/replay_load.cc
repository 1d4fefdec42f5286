#include "tools/veche/replay_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <numeric>
#include <optional>

#include "engine/model/limits.h"
#include "ingest/auth/base64url.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kAnswerTimeout{30};
constexpr std::chrono::seconds kRetryAfter{1};  // where the server names no other

std::chrono::nanoseconds percentile(std::vector<std::chrono::nanoseconds>& sorted, double share) {
  if (sorted.empty()) return {};
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// What both ways of sending share: the ballots in their order, and the books.
class Sender {
 public:
  Sender(ApiClient& client, const model::PollId& poll, const std::vector<ReplayBallot>& ballots,
         const ReplayWay& way)
      : issuer_(*client.issuer()), poll_(poll), ballots_(ballots), way_(way) {}
  virtual ~Sender() = default;

  Result<ReplayOutcomes> run(const std::string& url, std::size_t connections) {
    const auto started = Clock::now();
    const auto report = http::run_load(
        url,
        {.connections = connections, .answer_timeout = kAnswerTimeout, .patience = way_.patience},
        [this](std::size_t connection) { return next(connection); },
        [this](std::size_t connection, http::Call& call, const http::Answer& answer) {
          latencies_.push_back(answer.latency);
          return hear(connection, call, answer);
        });
    if (!report) return report.error();
    if (interrupted())
      return Fault{
          fmt::format("interrupted after {} of {} ballots", outcomes_.sum(), ballots_.size())};
    outcomes_.duration = Clock::now() - started;
    outcomes_.resent = report->resent;
    std::sort(latencies_.begin(), latencies_.end());
    outcomes_.p50 = percentile(latencies_, 0.50);
    outcomes_.p99 = percentile(latencies_, 0.99);
    return std::move(outcomes_);
  }

 protected:
  virtual std::optional<http::Call> next(std::size_t connection) = 0;
  virtual http::Verdict hear(std::size_t connection, http::Call& call,
                             const http::Answer& answer) = 0;

  // Takes up to `count` ballots that nobody has sent yet.
  std::vector<std::size_t> take(std::size_t count) {
    if (interrupted()) return {};
    std::vector<std::size_t> taken(std::min(count, ballots_.size() - taken_));
    std::iota(taken.begin(), taken.end(), taken_);
    taken_ += taken.size();
    return taken;
  }
  void book(const std::string& code, std::uint64_t count = 1) {
    outcomes_.by_code[code] += count;
    decided_ += count;
    if ((decided_ & kProgressMask) == 0 && progress_.is_due())
      progress_.show(fmt::format("{} of {} ballots", decided_, ballots_.size()));
  }

  auth::Issuer& issuer_;
  const model::PollId poll_;
  const std::vector<ReplayBallot>& ballots_;
  const ReplayWay& way_;

 private:
  static constexpr std::uint64_t kProgressMask = 0x3F;  // asks for the time only so often

  std::size_t taken_ = 0;
  std::uint64_t decided_ = 0;
  std::vector<std::chrono::nanoseconds> latencies_;
  ReplayOutcomes outcomes_;
  Progress progress_;
};

// A request that one connection has in work.
struct InWork {
  std::vector<std::size_t> ballots;
  Clock::time_point since;
};

// --- Voters ------------------------------------------------------------------------------------

class SingleSender final : public Sender {
 public:
  SingleSender(ApiClient& client, const model::PollId& poll,
               const std::vector<ReplayBallot>& ballots, const ReplayWay& way)
      : Sender(client, poll, ballots, way),
        target_(fmt::format("/v1/polls/{}/ballots", poll.view())),
        in_work_(way.connections),
        begin_(Clock::now()) {}

 private:
  std::optional<http::Call> next(std::size_t connection) override {
    auto& work = in_work_[connection];
    work = {take(1), Clock::now()};
    if (work.ballots.empty()) return std::nullopt;
    const auto& ballot = ballots_[work.ballots.front()];
    return http::Call{
        .method = "POST",
        .target = target_,
        .headers = {{"Authorization", bearer(ballot)}, {"Content-Type", "application/json"}},
        .body = "{\"answers\":" + ballot.answers + "}",
        .planned = planned(work.ballots.front())};
  }

  // When the ballot's turn is; the latency counts from then, so that a slow server is not spared.
  std::optional<Clock::time_point> planned(std::size_t number) const {
    if (way_.rate == 0) return std::nullopt;
    return begin_ + std::chrono::nanoseconds(std::chrono::seconds(1)) * number / way_.rate;
  }

  http::Verdict hear(std::size_t connection, http::Call& call,
                     const http::Answer& answer) override {
    const auto& work = in_work_[connection];
    if (answer.status == kServiceUnavailable && Clock::now() - work.since < way_.patience) {
      call.headers.front().second = bearer(ballots_[work.ballots.front()]);  // fresh
      return http::Verdict::again(answer.retry_after.value_or(kRetryAfter));
    }
    if (answer.status == 201)
      book("accepted");
    else if (answer.status == 200)
      book("recorded");
    else
      book(code_of(answer));
    return http::Verdict::done();
  }

  std::string bearer(const ReplayBallot& ballot) {
    const auth::VoteClaims claims{poll_, ballot.sub, ballot.home, {}, limits::kMaxLevel};
    return "Bearer " + issuer_.mint_vote(claims, now_seconds(), limits::kTokenLifetime);
  }

  const std::string target_;
  std::vector<InWork> in_work_;
  const Clock::time_point begin_;
};

// --- Gateway -----------------------------------------------------------------------------------

class BatchSender final : public Sender {
 public:
  static constexpr std::size_t kAtOnce = 4;

  BatchSender(ApiClient& client, const model::PollId& poll,
              const std::vector<ReplayBallot>& ballots, const ReplayWay& way)
      : Sender(client, poll, ballots, way), in_work_(kAtOnce) {}

 private:
  std::optional<http::Call> next(std::size_t connection) override {
    auto& work = in_work_[connection];
    work = {take(way_.batch_lines), Clock::now()};
    if (work.ballots.empty()) return std::nullopt;
    return call_of(work);
  }

  // What is not decided yet is sent again, by itself.
  http::Verdict hear(std::size_t connection, http::Call& call,
                     const http::Answer& answer) override {
    auto& work = in_work_[connection];
    const bool is_patient = Clock::now() - work.since < way_.patience;
    if (answer.status == 200)
      book_lines(work, boost::json::parse(answer.body), is_patient);
    else if (answer.status != kServiceUnavailable || !is_patient)
      book(code_of(answer), std::exchange(work.ballots, {}).size());
    if (work.ballots.empty()) return http::Verdict::done();
    call = call_of(work);
    return http::Verdict::again(answer.retry_after.value_or(kRetryAfter));
  }

  // Keeps those in work whose outcome the server does not know, if that is to be tried again.
  void book_lines(InWork& work, const boost::json::value& answer, bool keeps_unknown) {
    std::vector<std::size_t> unknown;
    for (const auto& item : answer.at("items").as_array()) {
      if (keeps_unknown && item.at("status").as_int64() == kServiceUnavailable)
        unknown.push_back(work.ballots.at(item.at("line").to_number<std::size_t>() - 1));
      else
        book(std::string(item.at("code").as_string()));
    }
    for (const auto* outcome : {"accepted", "recorded"})
      if (const auto count = answer.at(outcome).to_number<std::uint64_t>(); count > 0)
        book(outcome, count);
    work.ballots = std::move(unknown);
  }

  http::Call call_of(const InWork& work) {
    std::string body;
    for (const auto number : work.ballots) {
      const auto& ballot = ballots_[number];
      fmt::format_to(std::back_inserter(body), R"({{"poll":"{}","voter":")", poll_.view());
      auth::base64url_append(body, auth::text_of(ballot.sub));
      fmt::format_to(std::back_inserter(body), R"(","territory":"{}","level":{},"answers":{}}})",
                     ballot.home.view(), limits::kMaxLevel, ballot.answers);
      body += '\n';
    }
    return batch_call(issuer_, std::move(body));
  }

  std::vector<InWork> in_work_;
};

}  // namespace

std::uint64_t ReplayOutcomes::of(const std::string& code) const {
  const auto found = by_code.find(code);
  return found == by_code.end() ? 0 : found->second;
}

std::uint64_t ReplayOutcomes::sum() const {
  return std::accumulate(by_code.begin(), by_code.end(), std::uint64_t{0},
                         [](auto sum, const auto& entry) { return sum + entry.second; });
}

Result<ReplayOutcomes> send_ballots(ApiClient& client, const model::PollId& poll,
                                    const std::vector<ReplayBallot>& ballots,
                                    const ReplayWay& way) {
  if (way.batch_lines > 0)
    return BatchSender(client, poll, ballots, way).run(client.url(), BatchSender::kAtOnce);
  return SingleSender(client, poll, ballots, way).run(client.url(), way.connections);
}

}  // namespace veche::tools
