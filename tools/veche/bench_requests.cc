#include "tools/veche/bench_requests.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/model/limits.h"
#include "ingest/auth/base64url.h"
#include "ingest/auth/primitives.h"
#include "ingest/http/client.h"
#include "tools/veche/api_client.h"

namespace veche::tools {
namespace {

constexpr std::size_t kChunkBallots = 4'096;
constexpr auto kOldestToken = limits::kTokenLifetime - std::chrono::seconds(60);

std::chrono::nanoseconds thread_cpu() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

auth::Bytes32 sub_of_voter(const BenchPoll& poll, std::uint32_t voter) {
  return sub_of(poll.definition.id, std::to_string(voter));
}

std::string_view option_of(const BenchBallot& ballot) {
  return ballot.kind == BallotKind::unknown_option ? "no-such-option"
                                                   : kBenchOptions[ballot.option];
}

const model::TerritoryCode& home_of(const BenchPoll& poll, const BenchBallot& ballot) {
  return (ballot.kind == BallotKind::not_eligible ? poll.elsewhere : poll.homes)[ballot.home];
}

// A signature of the right form and length that signs something else.
void spoil_signature(std::string& token) {
  auto& first = token[token.rfind('.') + 1];
  first = first == 'A' ? 'B' : 'A';
}

std::string answers_of(const BenchBallot& ballot) {
  return fmt::format(R"("answers":[{{"question":"{}","choices":["{}"]}}])", kBenchQuestion,
                     option_of(ballot));
}

}  // namespace

// --- One request -------------------------------------------------------------------------------

Result<RequestWriter> RequestWriter::load(const std::filesystem::path& issuer,
                                          const BenchPoll& poll) {
  auto loaded = auth::Issuer::load(issuer);
  if (!loaded) return loaded.error();
  return RequestWriter(std::move(*loaded), poll);
}

http::Call RequestWriter::single(const BenchBallot& ballot) {
  const auto& id = poll_->definition.id;
  const auth::VoteClaims claims{
      id, sub_of_voter(*poll_, ballot.voter), home_of(*poll_, ballot), {}, limits::kMaxLevel};
  const auto age = ballot.kind == BallotKind::expired_token
                       ? limits::kTokenLifetime + 2 * limits::kTokenSkew
                       : std::chrono::seconds(0);
  auto token = issuer_.mint_vote(claims, now_seconds() - age, limits::kTokenLifetime);
  if (ballot.kind == BallotKind::bad_signature) spoil_signature(token);
  auto body = fmt::format("{{{}}}", answers_of(ballot));
  if (ballot.kind == BallotKind::malformed) body.pop_back();
  return {.method = "POST",
          .target = fmt::format("/v1/polls/{}/ballots", id.view()),
          .headers = {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}},
          .body = std::move(body)};
}

http::Call RequestWriter::batch(std::span<const BenchBallot> ballots) {
  std::string body;
  const auto to = std::back_inserter(body);
  for (const auto& ballot : ballots) {
    fmt::format_to(to, R"({{"poll":"{}","voter":")", poll_->definition.id.view());
    auth::base64url_append(body, auth::text_of(sub_of_voter(*poll_, ballot.voter)));
    fmt::format_to(to, R"(","territory":"{}","level":{},{})", home_of(*poll_, ballot).view(),
                   limits::kMaxLevel, answers_of(ballot));
    body += ballot.kind == BallotKind::malformed ? "\n" : "}\n";
  }
  return batch_call(issuer_, std::move(body));
}

// --- The supply --------------------------------------------------------------------------------

Result<std::unique_ptr<RequestSupply>> RequestSupply::start(const BenchPoll& poll, BallotPlan plan,
                                                            SupplyOptions options) {
  std::unique_ptr<RequestSupply> supply(new RequestSupply(std::move(plan), std::move(options)));
  std::vector<RequestWriter> writers;
  for (unsigned i = 0; i < std::max(std::thread::hardware_concurrency(), 1u); ++i) {
    auto writer = RequestWriter::load(supply->options_.issuer, poll);
    if (!writer) return writer.error();
    writers.push_back(std::move(*writer));
  }
  // All of them fill the window; one goes on when the clock runs.
  for (std::size_t i = 0; i < writers.size(); ++i)
    supply->threads_.emplace_back(
        [&supply = *supply, goes_on = i == 0](RequestWriter writer) {
          supply.fill_window(writer);
          if (goes_on) supply.refill(writer);
        },
        std::move(writers[i]));
  return supply;
}

RequestSupply::~RequestSupply() { stop(); }

std::uint32_t RequestSupply::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  took_one_.notify_all();
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
  return plan_.end_voter();
}

void RequestSupply::fill_window(RequestWriter& writer) {
  std::unique_lock lock(mutex_);
  while (!is_stopped_ && !is_window_full()) make_chunk(writer, lock);
}

void RequestSupply::refill(RequestWriter& writer) {
  std::unique_lock lock(mutex_);
  while (true) {
    took_one_.wait(lock, [&] { return is_stopped_ || needs_refill(); });
    if (is_stopped_ || is_all_planned()) return;
    make_chunk(writer, lock);
  }
}

void RequestSupply::make_chunk(RequestWriter& writer, std::unique_lock<std::mutex>& lock) {
  auto ballots = plan_chunk();
  ++at_work_;
  lock.unlock();
  const auto cpu_before = thread_cpu();
  auto chunk = std::make_shared<const RequestChunk>(write(writer, std::move(ballots)));
  const auto cpu = thread_cpu() - cpu_before;
  lock.lock();
  --at_work_;
  made_.cpu += cpu;
  made_.requests += chunk->requests();
  made_.ballots += chunk->ballots.size();
  ready_.push_back(std::move(chunk));
  made_one_.notify_all();
}

std::vector<BenchBallot> RequestSupply::plan_chunk() {
  const auto whole = std::max(kChunkBallots / lines(), std::size_t{1}) * lines();
  std::vector<BenchBallot> ballots(std::min<std::uint64_t>(whole, options_.ballots - planned_));
  for (auto& ballot : ballots) ballot = plan_.next();
  planned_ += ballots.size();
  return ballots;
}

RequestChunk RequestSupply::write(RequestWriter& writer, std::vector<BenchBallot> ballots) const {
  RequestChunk chunk;
  chunk.lines = lines();
  chunk.ballots = std::move(ballots);
  const auto all = std::span<const BenchBallot>(chunk.ballots);
  for (std::size_t begin = 0; begin < all.size(); begin += chunk.lines) {
    const auto some = all.subspan(begin, std::min(chunk.lines, all.size() - begin));
    http::append_call(is_batched() ? writer.batch(some) : writer.single(some.front()),
                      options_.authority, chunk.bytes);
    chunk.ends.push_back(chunk.bytes.size());
  }
  return chunk;
}

void RequestSupply::wait_until_ready() {
  std::unique_lock lock(mutex_);
  made_one_.wait(
      lock, [&] { return at_work_ == 0 && (is_window_full() || planned_ >= options_.ballots); });
}

std::shared_ptr<const RequestChunk> RequestSupply::take() {
  std::unique_lock lock(mutex_);
  drop_old();
  const auto is_at_end = [&] { return at_work_ == 0 && is_all_planned(); };
  if (ready_.empty() && !is_at_end()) ++made_.waits;
  made_one_.wait(lock, [&] { return !ready_.empty() || is_at_end(); });
  if (ready_.empty()) return nullptr;
  auto chunk = std::move(ready_.front());
  ready_.pop_front();
  taken_ += chunk->ballots.size();
  lock.unlock();
  took_one_.notify_one();
  return chunk;
}

void RequestSupply::drop_old() {
  const auto oldest = std::chrono::steady_clock::now() - kOldestToken;
  while (!ready_.empty() && ready_.front()->made_at < oldest) {
    taken_ += ready_.front()->ballots.size();
    ready_.pop_front();
    took_one_.notify_one();
  }
}

RequestSupply::Made RequestSupply::made() const {
  const std::lock_guard lock(mutex_);
  return made_;
}

}  // namespace veche::tools
