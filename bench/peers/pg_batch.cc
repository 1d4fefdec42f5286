// Ballots into PostgreSQL in batches of 1,000 rows: each batch is one statement that inserts the
// voters who are new and adds to the tally, four batches on their way at once, each on a connection
// of its own. The tables are those of postgres.sql, with the rows of the tally made.
//
//   pg_batch CONNINFO SECONDS WARM_UP SEED      prints one line of JSON
//
// Every batch is made before the clock starts, in the format that the server needs least time for.
// At the end the rows of `ballots` and the sum of the tally must be what was sent, option by
// option; else there is no figure.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kConnections = 4;
constexpr std::size_t kRows = 1'000;
constexpr std::uint32_t kTerritories = 40;
constexpr std::uint32_t kOptions = 4;
// More than PostgreSQL takes on any machine this is meant for; a run that needs more ends.
constexpr std::size_t kBatchesPerSecond = 600;

constexpr const char* kStatement = R"(
  WITH counted AS (
    INSERT INTO ballots (poll, voter, territory, option)
    SELECT 1, voter, territory, option
    FROM unnest($1::uuid[], $2::int[], $3::smallint[]) AS batch (voter, territory, option)
    ON CONFLICT DO NOTHING
    RETURNING territory, option),
  sums AS (SELECT territory, option, count(*) AS votes FROM counted GROUP BY territory, option)
  UPDATE tally SET votes = tally.votes + sums.votes FROM sums
  WHERE poll = 1 AND part = $4
    AND tally.territory = sums.territory AND tally.option = sums.option)";

[[noreturn]] void give_up(std::string_view why) {
  fmt::print(stderr, "pg_batch: {}\n", why);
  std::exit(1);
}

// What PostgreSQL calls the binary format of a one-dimensional array.
class BinaryArray {
 public:
  explicit BinaryArray(Oid element) {
    for (const auto word : {std::uint32_t{1}, std::uint32_t{0}, element,
                            static_cast<std::uint32_t>(kRows), std::uint32_t{1}})
      put(htonl(word));
  }

  template <typename Value>
  void add(const Value& value) {
    put(htonl(sizeof value));
    put(value);
  }

  const std::string& bytes() const { return bytes_; }

 private:
  template <typename Value>
  void put(const Value& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string bytes_;
};

constexpr Oid kUuid = 2950, kInt = 23, kSmallint = 21;
using Votes = std::array<std::uint64_t, kOptions>;

struct Batch {
  std::string voters, territories, options;
  Votes by_option{};
};

Batch make_batch(std::mt19937_64& random) {
  BinaryArray voters(kUuid), territories(kInt), options(kSmallint);
  Batch batch;
  for (std::size_t row = 0; row < kRows; ++row) {
    voters.add(std::array<std::uint64_t, 2>{random(), random()});
    territories.add(htonl(static_cast<std::uint32_t>(1 + random() % kTerritories)));
    const auto option = random() % kOptions;
    options.add(htons(static_cast<std::uint16_t>(1 + option)));
    ++batch.by_option[option];
  }
  batch.voters = voters.bytes();
  batch.territories = territories.bytes();
  batch.options = options.bytes();
  return batch;
}

std::vector<Batch> make_batches(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Batch> batches;
  batches.reserve(count);
  while (batches.size() < count) batches.push_back(make_batch(random));
  return batches;
}

// One connection, with at most one batch on its way.
class Lane {
 public:
  Lane(const char* conninfo, std::size_t number) : connection_(PQconnectdb(conninfo)) {
    if (PQstatus(connection_) != CONNECTION_OK) fail();
    part_ = htons(static_cast<std::uint16_t>(number));
    auto* done = PQprepare(connection_, "batch", kStatement, 0, nullptr);
    if (PQresultStatus(done) != PGRES_COMMAND_OK) fail();
    PQclear(done);
    if (PQsetnonblocking(connection_, 1) != 0) fail();
  }

  void send(const Batch& batch) {
    const std::array<const char*, 4> values{batch.voters.data(), batch.territories.data(),
                                            batch.options.data(),
                                            reinterpret_cast<const char*>(&part_)};
    const std::array<int, 4> lengths{
        static_cast<int>(batch.voters.size()), static_cast<int>(batch.territories.size()),
        static_cast<int>(batch.options.size()), static_cast<int>(sizeof part_)};
    constexpr std::array<int, 4> kBinary{1, 1, 1, 1};
    if (!PQsendQueryPrepared(connection_, "batch", 4, values.data(), lengths.data(), kBinary.data(),
                             0))
      fail();
    batch_ = &batch;
    sent_ = Clock::now();
    flush();
  }

  pollfd interest() const {
    return {PQsocket(connection_), static_cast<short>(is_unsent_ ? POLLIN | POLLOUT : POLLIN), 0};
  }

  // The batch that is decided by now, if it is.
  const Batch* advance() {
    if (!PQconsumeInput(connection_)) fail();
    if (is_unsent_) flush();
    while (batch_ && !PQisBusy(connection_)) {
      auto* result = PQgetResult(connection_);
      if (!result) return std::exchange(batch_, nullptr);
      if (PQresultStatus(result) != PGRES_COMMAND_OK) fail();
      PQclear(result);
    }
    return nullptr;
  }

  bool is_free() const { return !batch_; }
  Clock::time_point sent() const { return sent_; }

  // One row of numbers.
  std::vector<std::uint64_t> ask(const char* query) {
    PQsetnonblocking(connection_, 0);
    auto* result = PQexec(connection_, query);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) fail();
    std::vector<std::uint64_t> numbers;
    for (int column = 0; column < PQnfields(result); ++column)
      numbers.push_back(std::strtoull(PQgetvalue(result, 0, column), nullptr, 10));
    PQclear(result);
    return numbers;
  }

 private:
  void flush() {
    const int left = PQflush(connection_);
    if (left < 0) fail();
    is_unsent_ = left > 0;
  }

  [[noreturn]] void fail() { give_up(PQerrorMessage(connection_)); }

  PGconn* connection_;  // ends with the process
  std::uint16_t part_ = 0;
  const Batch* batch_ = nullptr;
  bool is_unsent_ = false;
  Clock::time_point sent_;
};

double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

class Load {
 public:
  Load(const char* conninfo, std::chrono::seconds duration, std::chrono::seconds warm_up,
       std::uint64_t seed)
      : duration_(duration),
        warm_up_(warm_up),
        batches_(make_batches(
            kBatchesPerSecond * static_cast<std::size_t>((duration + warm_up).count()), seed)) {
    for (std::size_t number = 0; number < kConnections; ++number)
      lanes_.emplace_back(conninfo, number);
  }

  void run() {
    begin_ = Clock::now() + warm_up_;
    end_ = begin_ + duration_;
    for (auto& lane : lanes_) send_next(lane);
    while (
        std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return !lane.is_free(); }))
      wait();
    if (latencies_ms_.empty()) give_up("no batch was answered in the time measured");
    prove();
    report();
  }

 private:
  void send_next(Lane& lane) {
    if (Clock::now() >= end_) return;
    if (next_ == batches_.size()) give_up("faster than batches were made; raise kBatchesPerSecond");
    lane.send(batches_[next_++]);
  }

  void wait() {
    std::array<pollfd, kConnections> interests{};
    for (std::size_t i = 0; i < kConnections; ++i) interests[i] = lanes_[i].interest();
    if (poll(interests.data(), interests.size(), 30'000) <= 0) give_up("no answer for 30 s");
    for (std::size_t i = 0; i < kConnections; ++i) {
      if (!interests[i].revents) continue;
      const auto* done = lanes_[i].advance();
      if (!done) continue;
      count(*done, lanes_[i].sent());
      send_next(lanes_[i]);
    }
  }

  // A batch counts in the moment of its answer; the last ones come after the end.
  void count(const Batch& batch, Clock::time_point sent) {
    for (std::size_t option = 0; option < kOptions; ++option)
      by_option_[option] += batch.by_option[option];
    const auto now = Clock::now();
    if (now < begin_) return;
    if (!cpu_before_) cpu_before_ = cpu_seconds();
    if (now >= end_) return;
    cpu_ = cpu_seconds() - *cpu_before_;
    latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - sent).count());
  }

  void prove() {
    const auto ballots = lanes_[0].ask(
        "SELECT count(*) FILTER (WHERE option = 1), count(*) FILTER (WHERE option = 2), "
        "count(*) FILTER (WHERE option = 3), count(*) FILTER (WHERE option = 4), count(*) "
        "FROM ballots");
    const auto votes = lanes_[0].ask(
        "SELECT sum(votes) FILTER (WHERE option = 1), sum(votes) FILTER (WHERE option = 2), "
        "sum(votes) FILTER (WHERE option = 3), sum(votes) FILTER (WHERE option = 4), sum(votes) "
        "FROM tally");
    std::vector<std::uint64_t> sent(by_option_.begin(), by_option_.end());
    sent.push_back(next_ * kRows);
    if (ballots != sent || votes != sent)
      give_up(fmt::format("sent {} ballots, {} are kept and {} in the tally", sent.back(),
                          ballots.back(), votes.back()));
  }

  void report() {
    std::sort(latencies_ms_.begin(), latencies_ms_.end());
    const auto at = [&](double share) {
      return latencies_ms_[static_cast<std::size_t>(share *
                                                    static_cast<double>(latencies_ms_.size() - 1))];
    };
    const auto ballots = latencies_ms_.size() * kRows;
    fmt::print(
        R"({{"counted_per_second":{:.1f},"counted":{},"counted_in_all":{},"failed":0,)"
        R"("latency_ms":{{"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"p999":{:.3f},"max":{:.3f}}},)"
        R"("generator_cpu_us":{:.3f}}})"
        "\n",
        static_cast<double>(ballots) / std::chrono::duration<double>(duration_).count(), ballots,
        next_ * kRows, at(0.5), at(0.9), at(0.99), at(0.999), at(1.0),
        cpu_ / static_cast<double>(ballots) * 1e6);
  }

  const std::chrono::seconds duration_, warm_up_;
  const std::vector<Batch> batches_;
  std::vector<Lane> lanes_;
  std::size_t next_ = 0;
  Clock::time_point begin_, end_;
  std::optional<double> cpu_before_;  // in seconds, as cpu_: of the time that is measured
  double cpu_ = 0;
  Votes by_option_{};
  std::vector<double> latencies_ms_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) give_up("usage: pg_batch CONNINFO SECONDS WARM_UP SEED");
  Load(argv[1], std::chrono::seconds(std::strtoul(argv[2], nullptr, 10)),
       std::chrono::seconds(std::strtoul(argv[3], nullptr, 10)),
       std::strtoull(argv[4], nullptr, 10))
      .run();
}
