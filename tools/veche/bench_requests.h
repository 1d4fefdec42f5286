// Signed requests, made ahead of the clock: a window of them lies ready before the first is sent,
// so that signing is no part of what is measured. Only a run that needs more than the window holds
// has them signed beside it, from when little is left. A token lives ten minutes, so the window
// holds no more than a few minutes' worth.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/model/result.h"
#include "ingest/auth/issuer.h"
#include "ingest/http/client.h"
#include "tools/veche/bench_ballots.h"
#include "tools/veche/bench_poll.h"

namespace veche::tools {

// Some requests with the ballots in them. Immutable once made.
struct RequestChunk {
  std::size_t lines = 1;  // ballots in each request; the last one may have fewer
  std::vector<BenchBallot> ballots;
  std::string bytes;
  std::vector<std::size_t> ends;  // of each request in bytes
  std::chrono::steady_clock::time_point made_at = std::chrono::steady_clock::now();

  std::size_t requests() const { return ends.size(); }
  std::string_view request(std::size_t number) const {
    const auto begin = number == 0 ? 0 : ends[number - 1];
    return std::string_view(bytes).substr(begin, ends[number] - begin);
  }
  std::span<const BenchBallot> ballots_of(std::size_t number) const {
    const auto begin = number * lines;
    return std::span(ballots).subspan(begin, std::min(lines, ballots.size() - begin));
  }
};

struct SupplyOptions {
  std::string authority;         // of the server, for Host
  std::filesystem::path issuer;  // issuer.json
  std::size_t batch_lines = 0;   // 0: single ballots
  std::uint64_t ballots = 0;     // at most
  std::uint64_t window = 0;      // ballots that lie ready at the beginning
};

// Makes and signs requests. For one thread.
class RequestWriter {
 public:
  // The poll must outlive it.
  static Result<RequestWriter> load(const std::filesystem::path& issuer, const BenchPoll& poll);

  http::Call single(const BenchBallot& ballot);
  http::Call batch(std::span<const BenchBallot> ballots);

 private:
  RequestWriter(auth::Issuer issuer, const BenchPoll& poll)
      : issuer_(std::move(issuer)), poll_(&poll) {}

  auth::Issuer issuer_;
  const BenchPoll* poll_;
};

// take() is for one thread; the rest too.
class RequestSupply {
 public:
  static Result<std::unique_ptr<RequestSupply>> start(const BenchPoll& poll, BallotPlan plan,
                                                      SupplyOptions options);
  ~RequestSupply();

  // Blocks until the window is full, or everything is made.
  void wait_until_ready();
  // The next chunk; null when there are no more. Blocks while none is ready. One whose tokens are
  // nearly too old is passed over: its voters never come.
  std::shared_ptr<const RequestChunk> take();

  struct Made {
    std::uint64_t requests = 0;
    std::uint64_t ballots = 0;
    std::chrono::nanoseconds cpu{};
    std::uint64_t waits = 0;  // take() had to wait: the generator was too slow
  };
  Made made() const;
  bool is_batched() const { return options_.batch_lines > 0; }

  // Ends the threads, and tells the number behind the last voter's.
  std::uint32_t stop();

 private:
  RequestSupply(BallotPlan plan, SupplyOptions options)
      : options_(std::move(options)), plan_(std::move(plan)) {}
  void fill_window(RequestWriter& writer);
  void refill(RequestWriter& writer);
  void make_chunk(RequestWriter& writer, std::unique_lock<std::mutex>& lock);
  std::vector<BenchBallot> plan_chunk();
  RequestChunk write(RequestWriter& writer, std::vector<BenchBallot> ballots) const;
  bool is_all_planned() const { return planned_ >= options_.ballots; }
  bool is_window_full() const { return is_all_planned() || planned_ >= options_.window; }
  void drop_old();
  bool needs_refill() const { return planned_ - taken_ < options_.window / kRefillPart; }
  std::size_t lines() const { return std::max<std::size_t>(options_.batch_lines, 1); }

  static constexpr std::uint64_t kRefillPart = 4;  // of the window

  const SupplyOptions options_;
  std::vector<std::thread> threads_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable made_one_, took_one_;
  BallotPlan plan_;
  std::uint64_t planned_ = 0, taken_ = 0;  // ballots
  std::size_t at_work_ = 0;                // threads with a chunk in hand
  bool is_stopped_ = false;
  std::deque<std::shared_ptr<const RequestChunk>> ready_;
  Made made_;
};

}  // namespace veche::tools
