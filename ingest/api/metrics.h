// What an operator watches, as Prometheus text. No label names a voter, a poll or a territory: a
// counter that moves by one would tell who voted. Thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/model/outcome.h"
#include "ingest/http/handler.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace veche::api {

// Facts of the engine and the log, read when metrics are asked for.
struct PartitionFacts {
  std::string name;
  std::uint64_t applied = 0;  // the offset behind the last applied record
  std::uint64_t log_end = 0;  // as the log saw it last
};
struct KafkaLogFacts {
  bool reachable = false;
  double produced = 0;
  double acknowledged = 0;
  double produce_errors = 0;
  double consume_errors = 0;
  double in_flight = 0;
  std::vector<std::pair<std::string, bool>> stuck;  // whether a partition takes no records now
};
struct EngineFacts {
  bool ready = false;
  double invalid_records = 0;
  double duplicate_ballots = 0;
  std::vector<PartitionFacts> partitions;
  double log_records = 0;  // of the embedded log, in synced groups
  std::optional<KafkaLogFacts> kafka;
};

// What the page of the load shows: sums since the start, of all polls together.
struct Load {
  struct Outcome {
    std::string_view code;
    double ballots = 0;
  };
  struct Bucket {
    double seconds = 0;  // at most; the last is infinite
    double ballots = 0;  // that took so long or less
  };
  bool ready = false;
  double connections = 0;
  double requests = 0;
  double cpu_seconds = 0;
  std::vector<Outcome> outcomes;
  std::vector<Bucket> latency;  // of single ballots
};

class Metrics final : public http::Observer {
 public:
  enum class LogKind { embedded, kafka };
  explicit Metrics(LogKind log = LogKind::embedded);
  ~Metrics() override;

  void count(model::Outcome outcome, std::size_t ballots = 1);
  // On threads of the engine and of the log.
  void records_applied(std::chrono::nanoseconds waited);
  void log_synced(std::chrono::nanoseconds took);
  void log_acknowledged(std::chrono::nanoseconds waited);
  void log_round_trip(std::chrono::nanoseconds waited);
  void live_encoded(std::chrono::nanoseconds took);
  // One JSON line a request goes to this file from now on; "-" is stderr.
  bool log_requests_to(const std::string& file);

  void request_done(const http::RequestDone& done) override;
  void connections(std::size_t worker, std::size_t open) override;
  void readers(std::size_t worker, std::size_t open) override;
  void streamed(const http::StreamCounts& more) override;

  std::string text(const EngineFacts& facts);
  Load load(bool ready);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace veche::api
