#include "tools/veche/bench_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "tools/veche/api_client.h"
#include "tools/veche/bench_machine.h"
#include "tools/veche/gz_file.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr auto kReadEvery = std::chrono::seconds(1);
constexpr int kSettleAttempts = 20;
constexpr std::uint64_t kProgressMask = 0xFFF;  // asks for the time only so often
// Above these the generator, not the server, is what was measured.
constexpr double kBusyShare = 0.95;
constexpr double kLateMs = 2;

double seconds_of(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

class LatencyList {
 public:
  void add(nanoseconds latency) {
    microseconds_.push_back(static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(latency.count() / 1'000, 0, UINT32_MAX)));
  }
  std::size_t size() const { return microseconds_.size(); }
  Latencies summary() {
    if (microseconds_.empty()) return {};
    std::sort(microseconds_.begin(), microseconds_.end());
    const auto at = [&](double share) {
      return microseconds_[static_cast<std::size_t>(
                 share * static_cast<double>(microseconds_.size() - 1))] /
             1e3;
    };
    return {at(0.5), at(0.9), at(0.99), at(0.999), at(1)};
  }

 private:
  std::vector<std::uint32_t> microseconds_;
};

// The while that is measured.
struct Window {
  Clock::time_point begin;
  Clock::time_point end;

  bool holds(Clock::time_point moment) const { return moment >= begin && moment < end; }
};

// --- Ballots -----------------------------------------------------------------------------------

// Gives out the supply's requests at their times and enters the answers.
class BallotSource final : public http::LoadSource {
 public:
  BallotSource(const BenchWay& way, RequestSupply& supply, BenchBooks& books)
      : way_(way),
        supply_(supply),
        books_(books),
        start_(Clock::now()),
        window_{start_ + way.warmup, start_ + way.warmup + way.duration} {}

  const Window& window() const { return window_; }

  std::optional<http::PreparedRequest> next() override {
    if (interrupted()) return std::nullopt;
    const auto now = Clock::now();
    std::optional<Clock::time_point> planned;
    if (way_.rate > 0) planned = planned_at(sent_ballots_);
    if (now >= window_.end || (planned && *planned >= window_.end)) return std::nullopt;
    if (chunks_.empty() || next_in_chunk_ == chunks_.back().chunk->requests()) {
      auto chunk = supply_.take();
      is_supply_over_ = !chunk;
      if (!chunk) return std::nullopt;
      chunks_.push_back({first_of_next_, chunk, chunk->requests()});
      first_of_next_ += chunk->requests();
      next_in_chunk_ = 0;
    }
    const auto& [first, chunk, left] = chunks_.back();
    const auto place = next_in_chunk_++;
    sent_ballots_ += chunk->ballots_of(place).size();
    return http::PreparedRequest{first + place, chunk->request(place), planned};
  }

  void answered(std::uint64_t number, const http::Answer& answer, nanoseconds since_sent) override {
    with_ballots(number, [&](std::span<const BenchBallot> ballots) {
      const auto now = Clock::now();
      const bool is_measured = window_.holds(now);
      answered_in_all_ += ballots.size();
      const auto counted_before = figures_.counted();
      if (supply_.is_batched())
        book_batch(ballots, answer, is_measured);
      else
        book_single(ballots.front(), answer, is_measured);
      // With a plan a late answer belongs to the while it was planned in: what a server holds back
      // until the end must not be missing from its latencies.
      if (way_.rate > 0 ? window_.holds(now - answer.latency) : is_measured)
        latencies_.add(answer.latency);
      if (figures_.counted() > counted_before) counted_latencies_.add(since_sent);
      if (!is_measured) return;
      if ((latencies_.size() & kProgressMask) == 0 && progress_.is_due())
        progress_.show(fmt::format(
            "{} ballots answered, {:.0f} a second", figures_.answered(),
            static_cast<double>(figures_.answered()) / seconds_of(now - window_.begin)));
    });
  }

  void lost(std::uint64_t number) override {
    with_ballots(number, [&](std::span<const BenchBallot> ballots) {
      for (const auto& ballot : ballots) books_.lost(ballot);
      figures_.failed += ballots.size();
    });
  }

  std::uint64_t answered_in_all() const { return answered_in_all_; }

  BenchFigures take_figures() {
    figures_.is_supply_over = is_supply_over_;
    figures_.asked_rate = way_.rate;
    figures_.seconds = seconds_of(
        is_supply_over_ ? std::min(Clock::now(), window_.end) - window_.begin : way_.duration);
    figures_.latency = latencies_.summary();
    figures_.counted_latency = counted_latencies_.summary();
    if (way_.rate > 0) {
      const auto all =
          static_cast<std::uint64_t>(way_.rate * seconds_of(way_.warmup + way_.duration));
      if (!is_supply_over_) figures_.unsent = all - std::min(all, sent_ballots_);
    }
    return std::move(figures_);
  }

 private:
  struct Chunk {
    std::uint64_t first;
    std::shared_ptr<const RequestChunk> chunk;
    std::size_t left;  // requests without an answer
  };

  Clock::time_point planned_at(std::uint64_t ballot) const {
    const auto evenly = start_ + nanoseconds(std::chrono::seconds(1)) * ballot / way_.rate;
    if (way_.arrivals.empty() || evenly < window_.begin) return evenly;
    // The ballots of the window, by the moments of as many ballots of the real poll.
    const auto share = seconds_of(evenly - window_.begin) / seconds_of(way_.duration);
    const auto place = static_cast<std::size_t>(share * static_cast<double>(way_.arrivals.size()));
    const auto moment = place < way_.arrivals.size() ? way_.arrivals[place] : 1.0;
    return window_.begin + std::chrono::duration_cast<nanoseconds>(way_.duration * moment);
  }

  // A chunk goes when all of its requests are settled.
  template <class F>
  void with_ballots(std::uint64_t number, F&& use) {
    auto chunk =
        std::upper_bound(chunks_.begin(), chunks_.end(), number,
                         [](auto wanted, const Chunk& each) { return wanted < each.first; });
    --chunk;
    use(chunk->chunk->ballots_of(number - chunk->first));
    --chunk->left;
    while (chunks_.size() > 1 && chunks_.front().left == 0) chunks_.pop_front();
  }

  void book(const std::string& code, std::uint64_t count, bool is_measured) {
    if (is_measured && count > 0) figures_.by_code[code] += count;
  }

  void book_single(const BenchBallot& ballot, const http::Answer& answer, bool is_measured) {
    static const std::string kAccepted = "accepted", kRecorded = "recorded";
    if (answer.status == 201 || answer.status == 200) {
      const auto& code = answer.status == 201 ? kAccepted : kRecorded;
      books_.answered(ballot, answer.status, code);
      return book(code, 1, is_measured);
    }
    const auto code = code_of(answer);
    books_.answered(ballot, answer.status, code);
    book(code, 1, is_measured);
  }

  // Those that the answer does not name are counted.
  void book_batch(std::span<const BenchBallot> ballots, const http::Answer& answer,
                  bool is_measured) {
    if (answer.status != 200) {
      const auto code = code_of(answer);
      for (const auto& ballot : ballots) books_.answered(ballot, answer.status, code);
      return book(code, ballots.size(), is_measured);
    }
    const auto document = boost::json::parse(answer.body);
    std::size_t next = 0;
    const auto counted_up_to = [&](std::size_t end) {
      for (; next < end; ++next) books_.counted(ballots[next]);
    };
    for (const auto& item : document.at("items").as_array()) {
      const auto place = item.at("line").to_number<std::size_t>() - 1;
      if (place < next || place >= ballots.size())
        throw std::runtime_error("a batch's answer names a line that was not sent, or twice");
      counted_up_to(place);
      const std::string code(item.at("code").as_string());
      books_.answered(ballots[next++], item.at("status").to_number<int>(), code);
      book(code, 1, is_measured);
    }
    counted_up_to(ballots.size());
    for (const auto* name : {"accepted", "recorded"})
      book(name, document.at(name).to_number<std::uint64_t>(), is_measured);
  }

  const BenchWay& way_;
  RequestSupply& supply_;
  BenchBooks& books_;
  const Clock::time_point start_;
  const Window window_;
  std::deque<Chunk> chunks_;
  std::size_t next_in_chunk_ = 0;
  std::uint64_t first_of_next_ = 0;
  std::uint64_t sent_ballots_ = 0;
  std::uint64_t answered_in_all_ = 0;
  bool is_supply_over_ = false;
  LatencyList latencies_, counted_latencies_;
  BenchFigures figures_;
  Progress progress_;
};

// --- Readers -----------------------------------------------------------------------------------

// Live readers: each asks once a second, all of them evenly spread.
class ReaderSource final : public http::LoadSource {
 public:
  ReaderSource(std::size_t readers, const Window& window, std::string request,
               const std::atomic<bool>& is_over)
      : is_over_(is_over),
        step_(nanoseconds(kReadEvery) / readers),
        window_(window),
        request_(std::move(request)) {}

  std::optional<http::PreparedRequest> next() override {
    const auto planned = start_ + step_ * sent_;
    if (planned >= window_.end || is_over_ || interrupted()) return std::nullopt;
    return http::PreparedRequest{sent_++, request_, planned};
  }
  void answered(std::uint64_t, const http::Answer& answer, nanoseconds) override {
    if (!window_.holds(Clock::now())) return;
    latencies_.add(answer.latency);
    failed_ += answer.status != 200;
  }
  void lost(std::uint64_t) override { ++failed_; }

  void report(BenchFigures& figures) {
    figures.reads = latencies_.size();
    figures.failed_reads = failed_;
    figures.read_latency = latencies_.summary();
  }

 private:
  const std::atomic<bool>& is_over_;
  const nanoseconds step_;
  const Window window_;
  const std::string request_;
  const Clock::time_point start_ = Clock::now();
  std::uint64_t sent_ = 0, failed_ = 0;
  LatencyList latencies_;
};

// --- What is read beside -----------------------------------------------------------------------

struct Sample {
  MachineTicks ticks = read_machine_ticks();
  std::optional<MetricsPage> metrics;

  explicit Sample(const BenchServer& server) {
    if (server.metrics_url.empty()) return;
    if (auto page = MetricsPage::fetch(server.metrics_url)) metrics = std::move(*page);
  }
};

void report_between(const Sample& before, const Sample& after, BenchFigures& figures) {
  const auto ticks = after.ticks.all - before.ticks.all;
  if (ticks > 0)
    figures.steal_percent = 100.0 * static_cast<double>(after.ticks.steal - before.ticks.steal) /
                            static_cast<double>(ticks);
  if (!before.metrics || !after.metrics) return;
  const auto difference = [&](const char* name) -> std::optional<double> {
    const auto earlier = before.metrics->value(name), later = after.metrics->value(name);
    if (!earlier || !later) return std::nullopt;
    return *later - *earlier;
  };
  const auto answered = static_cast<double>(figures.answered());
  if (const auto cpu = difference("process_cpu_seconds_total"); cpu && answered > 0)
    figures.server_cpu_us = *cpu * 1e6 / answered;
  const auto sync = [&](double share) -> std::optional<double> {
    const auto seconds =
        quantile_between(*before.metrics, *after.metrics, "veche_log_sync_seconds", share);
    return seconds ? std::optional(*seconds * 1e3) : std::nullopt;
  };
  figures.sync_p50_ms = sync(0.5);
  figures.sync_p99_ms = sync(0.99);
  const auto groups = difference("veche_log_sync_seconds_count");
  const auto records = difference("veche_log_records");
  if (groups && records && *groups > 0) figures.group_records = *records / *groups;
}

// Takes a sample at both ends of the window, or when it is stopped before its end.
class Sampler {
 public:
  Sampler(const BenchServer& server, const Window& window)
      : thread_([this, server, window](const std::stop_token& stop) {
          wait_until(window.begin, stop);
          before_.emplace(server);
          wait_until(window.end, stop);
          after_.emplace(server);
        }) {}

  void stop() {
    thread_.request_stop();
    thread_.join();
  }
  void report(BenchFigures& figures) const { report_between(*before_, *after_, figures); }

 private:
  void wait_until(Clock::time_point moment, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    moment_.wait_until(lock, stop, moment, [] { return false; });
  }

  std::optional<Sample> before_, after_;
  std::mutex mutex_;
  std::condition_variable_any moment_;
  std::jthread thread_;
};

std::string results_request(const BenchPoll& poll, const std::string& url) {
  std::string request;
  http::append_call(
      {.target = fmt::format("/v1/polls/{}/results?by=territory", poll.definition.id.view())},
      std::string_view(url).substr(std::string_view("http://").size()), request);
  return request;
}

}  // namespace

Result<ArrivalShape> read_arrivals(const std::string& path) {
  const auto text = read_gz(path, limits::kArrivalsBytes);
  if (!text) return Fault{fmt::format("{}: {}", path, text.error().message)};
  std::vector<double> moments;
  std::string_view rest = *text;
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const auto row = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(row.size() + 1, rest.size()));
    const auto moment = model::parse_number<std::uint64_t>(row.substr(0, row.find(',')));
    if (moment)
      moments.push_back(static_cast<double>(*moment));
    else if (line > 1)
      return Fault{
          fmt::format("{}: line {} does not begin with a time in milliseconds", path, line)};
  }
  if (moments.size() < 2) return Fault{fmt::format("{}: fewer than two arrivals", path)};
  std::sort(moments.begin(), moments.end());
  const auto first = moments.front(), length = moments.back() - first + 1;  // the last lasts 1 ms
  if (length <= 1) return Fault{fmt::format("{}: all arrivals are at one moment", path)};
  for (auto& moment : moments) moment = (moment - first) / length;
  return moments;
}

std::uint64_t BenchFigures::answered() const {
  return std::accumulate(by_code.begin(), by_code.end(), std::uint64_t{0},
                         [](auto sum, const auto& entry) { return sum + entry.second; });
}

std::uint64_t BenchFigures::counted() const {
  const auto of = [&](const char* code) {
    const auto found = by_code.find(code);
    return found == by_code.end() ? 0 : found->second;
  };
  return of("accepted") + of("recorded");
}

std::uint64_t BenchFigures::turned_away() const {
  auto sum = failed;
  for (const auto* code : {"overloaded", "outcome-unknown", "starting", "draining"})
    if (const auto found = by_code.find(code); found != by_code.end()) sum += found->second;
  return sum;
}

bool BenchFigures::generator_was_limit() const {
  return generator_share > kBusyShare || lateness_p99_ms > kLateMs || waits_for_signing > 0;
}

Result<BenchFigures> run_bench(const BenchServer& server, const BenchPoll& poll,
                               const BenchWay& way, RequestSupply& supply, BenchBooks& books) {
  const auto signed_before = supply.made();
  BallotSource source(way, supply, books);
  const auto window = source.window();
  std::optional<ReaderSource> readers;
  std::atomic<bool> is_over{false};
  Sampler sampler(server, window);
  std::jthread reading;
  if (way.readers > 0) {
    readers.emplace(way.readers, window, results_request(poll, server.url), is_over);
    reading = std::jthread([&] {
      // Its own faults show as failed reads, those of the server in the ballots too.
      (void)http::generate_load(server.url, {.connections = way.readers}, *readers);
    });
  }
  const auto load = http::generate_load(server.url, way.load, source);
  is_over = true;
  sampler.stop();
  if (reading.joinable()) reading.join();
  if (!load) return load.error();
  if (interrupted()) return Fault{"interrupted: nothing is told of half a run"};
  auto figures = source.take_figures();
  if (figures.seconds <= 0)
    return Fault{"all ballots that were signed beforehand went into the warm-up: make it shorter"};
  if (readers) readers->report(figures);
  figures.connections = load->connections;
  figures.broken_connections = load->broken_connections;
  figures.generator_share = seconds_of(load->cpu) / seconds_of(load->duration);
  figures.generator_cpu_us = figures.generator_share * 1e6 / std::max(figures.rate(), 1.0);
  figures.lateness_p99_ms = seconds_of(load->lateness_p99) * 1e3;
  const auto signed_after = supply.made();
  figures.waits_for_signing = signed_after.waits - signed_before.waits;
  figures.signing_cpu_us =
      seconds_of(signed_after.cpu - signed_before.cpu) * 1e6 /
      static_cast<double>(std::max<std::uint64_t>(source.answered_in_all(), 1));
  sampler.report(figures);
  return figures;
}

Result<void> settle_unknown(ApiClient& client, RequestWriter& writer, BenchBooks& books) {
  for (const auto& ballot : books.take_unknown()) {
    for (int attempt = 1;; ++attempt) {
      const auto answer = client.call(writer.single(ballot));
      if (!answer) return answer.error();
      if (answer->status != kServiceUnavailable) {
        books.settled(ballot, answer->status, answer->status / 100 == 2 ? "" : code_of(*answer));
        break;
      }
      if (attempt == kSettleAttempts)
        return Fault{"the server does not say what became of a ballot: " +
                     fault_of(*answer).message};
      std::this_thread::sleep_for(answer->retry_after.value_or(std::chrono::seconds(1)));
    }
  }
  return {};
}

}  // namespace veche::tools
