#include "ingest/api/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <mutex>
#include <utility>
#include <vector>

#include "engine/model/limits.h"
#include "engine/model/log_line.h"
#include "ingest/api/routes.h"
#include "ingest/wire/outcome.h"

namespace veche::api {
namespace {

constexpr std::size_t kOutcomes = static_cast<std::size_t>(model::Outcome::starting) + 1;
constexpr std::size_t kStatusClasses = 5;                // 1xx..5xx
constexpr std::size_t kRouteSlots = kRoutes.size() + 2;  // and metrics, and none

// The access log on stderr, among what the server says there.
class LogLineSink final : public spdlog::sinks::base_sink<std::mutex> {
  void sink_it_(const spdlog::details::log_msg& message) override {
    model::write_line(model::Stream::err, {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}
};

std::size_t route_slot(http::Route route) { return std::min<std::size_t>(route, kRouteSlots - 1); }

prometheus::Gauge& add_gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Counter& add_counter(prometheus::Registry& registry, const char* name,
                                 const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

using Bounds = prometheus::Histogram::BucketBoundaries;

prometheus::Histogram& add_seconds(prometheus::Registry& registry, const char* name,
                                   const char* help,
                                   const Bounds& bounds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                                                           0.05, 0.1, 0.5, 1, 5, 10}) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, bounds);
}

struct EmbeddedLogFamilies {
  prometheus::Gauge& records;
  prometheus::Histogram& sync_seconds;

  explicit EmbeddedLogFamilies(prometheus::Registry& registry)
      : records(add_gauge(registry, "veche_log_records", "Records in synced groups")),
        sync_seconds(add_seconds(registry, "veche_log_sync_seconds",
                                 "The synced write of a group of records",
                                 {0.00005, 0.0001, 0.00015, 0.0002, 0.00025, 0.0003, 0.0004, 0.0005,
                                  0.00075, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1})) {}
};

struct KafkaLogFamilies {
  prometheus::Gauge& reachable;
  prometheus::Gauge& produced;
  prometheus::Gauge& acknowledged;
  prometheus::Gauge& produce_errors;
  prometheus::Gauge& consume_errors;
  prometheus::Gauge& in_flight;
  prometheus::Family<prometheus::Gauge>& stuck;
  prometheus::Histogram& acknowledge_seconds;
  prometheus::Histogram& round_trip_seconds;

  explicit KafkaLogFamilies(prometheus::Registry& registry)
      : reachable(add_gauge(registry, "veche_kafka_reachable",
                            "1 when the leaders of all partitions answered of late")),
        produced(add_gauge(registry, "veche_kafka_produced_records",
                           "Records produced since the start")),
        acknowledged(
            add_gauge(registry, "veche_kafka_acknowledged_records", "Of those, acknowledged")),
        produce_errors(add_gauge(registry, "veche_kafka_produce_errors",
                                 "Records given up: what became of them is unknown")),
        consume_errors(add_gauge(registry, "veche_kafka_consume_errors",
                                 "Errors that reading met, passing ones too")),
        in_flight(add_gauge(registry, "veche_kafka_in_flight_records",
                            "Records produced and not acknowledged yet")),
        stuck(prometheus::BuildGauge()
                  .Name("veche_kafka_partition_stuck")
                  .Help("1 while records of the partition are refused: its leader is silent, or "
                        "takes or gives none")
                  .Register(registry)),
        acknowledge_seconds(add_seconds(registry, "veche_kafka_acknowledge_seconds",
                                        "From produce to acknowledgement, of the newest record of "
                                        "each group")),
        round_trip_seconds(
            add_seconds(registry, "veche_kafka_round_trip_seconds",
                        "From produce until acknowledged and read again, of the newest "
                        "record of each group")) {}

  void set(const KafkaLogFacts& facts) {
    reachable.Set(facts.reachable ? 1 : 0);
    produced.Set(facts.produced);
    acknowledged.Set(facts.acknowledged);
    produce_errors.Set(facts.produce_errors);
    consume_errors.Set(facts.consume_errors);
    in_flight.Set(facts.in_flight);
    for (const auto& [partition, is_stuck] : facts.stuck)
      stuck.Add({{"partition", partition}}).Set(is_stuck ? 1 : 0);
  }
};

struct StreamFamilies {
  prometheus::Family<prometheus::Gauge>& readers;
  prometheus::Counter& events;
  prometheus::Counter& replaced;
  prometheus::Counter& slow;
  prometheus::Histogram& encode_seconds;

  explicit StreamFamilies(prometheus::Registry& registry)
      : readers(prometheus::BuildGauge()
                    .Name("veche_stream_readers")
                    .Help("Readers of live streams of each HTTP thread")
                    .Register(registry)),
        events(add_counter(registry, "veche_stream_events_total",
                           "Events written, once for each reader")),
        replaced(add_counter(registry, "veche_stream_replaced_total",
                             "Events that a newer one replaced before they were written")),
        slow(add_counter(registry, "veche_stream_slow_readers_total",
                         "Readers dropped because they took nothing")),
        encode_seconds(add_seconds(
            registry, "veche_stream_encode_seconds",
            "From the tallies of a poll to its events handed over",
            {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1})) {}
};

double seconds_of(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

double process_cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  std::array<prometheus::Counter*, kOutcomes> outcomes{};
  std::array<std::array<prometheus::Counter*, kStatusClasses>, kRouteSlots> requests{};
  prometheus::Histogram* ballot_seconds = nullptr;
  prometheus::Family<prometheus::Gauge>* open_connections = nullptr;
  prometheus::Gauge* ready = nullptr;
  prometheus::Family<prometheus::Gauge>* applied = nullptr;
  prometheus::Family<prometheus::Gauge>* lag = nullptr;
  prometheus::Histogram* apply_seconds = nullptr;
  prometheus::Gauge* invalid = nullptr;
  prometheus::Gauge* duplicates = nullptr;
  prometheus::Counter* process_cpu = nullptr;
  std::optional<StreamFamilies> streams;
  std::optional<EmbeddedLogFamilies> embedded;  // one of the two
  std::optional<KafkaLogFamilies> kafka;
  std::shared_ptr<spdlog::logger> access_log;

  explicit Families(LogKind log) {
    streams.emplace(registry);
    if (log == LogKind::kafka)
      kafka.emplace(registry);
    else
      embedded.emplace(registry);
    auto& ballots = prometheus::BuildCounter()
                        .Name("veche_ballots_total")
                        .Help("Ballots by what became of them")
                        .Register(registry);
    for (std::size_t i = 0; i < kOutcomes; ++i)
      outcomes[i] = &ballots.Add(
          {{"outcome",
            std::string(wire::describe(static_cast<model::Outcome>(i), wire::Language::en).code)}});
    auto& answered = prometheus::BuildCounter()
                         .Name("veche_http_requests_total")
                         .Help("Answered requests by route and class of status")
                         .Register(registry);
    for (std::size_t r = 0; r < kRouteSlots; ++r)
      for (std::size_t s = 0; s < kStatusClasses; ++s)
        requests[r][s] = &answered.Add({{"route", std::string(label(static_cast<http::Route>(r)))},
                                        {"status", fmt::format("{}xx", s + 1)}});
    ballot_seconds = &add_seconds(registry, "veche_ballot_seconds",
                                  "From the whole request of one ballot to its answer");
    apply_seconds = &add_seconds(registry, "veche_apply_seconds",
                                 "From a delivery of the log until its records were applied");
    open_connections = &prometheus::BuildGauge()
                            .Name("veche_http_connections")
                            .Help("Open connections of each HTTP thread")
                            .Register(registry);
    process_cpu = &prometheus::BuildCounter()
                       .Name("process_cpu_seconds_total")
                       .Help("CPU time of the process, of all its threads")
                       .Register(registry)
                       .Add({});
    ready = &add_gauge(registry, "veche_ready", "1 when requests should come to this node");
    invalid =
        &add_gauge(registry, "veche_invalid_records", "Records in the log that were not ours");
    duplicates = &add_gauge(registry, "veche_duplicate_ballots",
                            "Ballots in the log of voters counted before");
    applied = &prometheus::BuildGauge()
                   .Name("veche_applied_offset")
                   .Help("The offset behind the last applied record of each partition")
                   .Register(registry);
    lag =
        &prometheus::BuildGauge()
             .Name("veche_log_lag_records")
             .Help(
                 "Records of each partition that the log was seen to hold and that are not applied")
             .Register(registry);
  }
};

Metrics::Metrics(LogKind log) : families_(std::make_unique<Families>(log)) {}
Metrics::~Metrics() = default;

void Metrics::count(model::Outcome outcome, std::size_t ballots) {
  families_->outcomes[static_cast<std::size_t>(outcome)]->Increment(static_cast<double>(ballots));
}

void Metrics::records_applied(std::chrono::nanoseconds waited) {
  families_->apply_seconds->Observe(seconds_of(waited));
}

void Metrics::log_synced(std::chrono::nanoseconds took) {
  families_->embedded->sync_seconds.Observe(seconds_of(took));
}

void Metrics::log_acknowledged(std::chrono::nanoseconds waited) {
  families_->kafka->acknowledge_seconds.Observe(seconds_of(waited));
}

void Metrics::log_round_trip(std::chrono::nanoseconds waited) {
  families_->kafka->round_trip_seconds.Observe(seconds_of(waited));
}

void Metrics::live_encoded(std::chrono::nanoseconds took) {
  families_->streams->encode_seconds.Observe(seconds_of(took));
}

bool Metrics::log_requests_to(const std::string& file) {
  spdlog::init_thread_pool(limits::kAccessLogQueue, 1);
  std::shared_ptr<spdlog::sinks::sink> sink;
  try {
    if (file == "-")
      sink = std::make_shared<LogLineSink>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  } catch (const spdlog::spdlog_ex&) {
    return false;
  }
  // When the disk cannot keep up, old lines are dropped: a log must not hold up ballots.
  families_->access_log = std::make_shared<spdlog::async_logger>(
      "access", sink, spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  families_->access_log->set_pattern("%v");
  families_->access_log->set_error_handler([was_told = false](const std::string& why) mutable {
    if (!std::exchange(was_told, true))
      model::write_line(model::Stream::err, "veche: lines of the access log are lost: " + why);
  });
  return true;
}

void Metrics::request_done(const http::RequestDone& done) {
  const auto status_class = static_cast<std::size_t>(done.status / 100 - 1);
  const auto slot = route_slot(done.route);
  families_->requests[slot][std::min(status_class, kStatusClasses - 1)]->Increment();
  const auto seconds = seconds_of(done.duration);
  if (done.route == static_cast<http::Route>(RouteId::post_ballot))
    families_->ballot_seconds->Observe(seconds);
  if (!families_->access_log) return;
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  families_->access_log->info(
      R"({{"unix_ms":{},"route":"{}","method":"{}","status":{},"us":{},"body_bytes":{},"answer_bytes":{}}})",
      now.time_since_epoch().count(), label(done.route), http::to_string(done.method), done.status,
      static_cast<std::int64_t>(seconds * 1e6), done.body_bytes, done.answer_bytes);
}

void Metrics::connections(std::size_t worker, std::size_t open) {
  families_->open_connections->Add({{"thread", std::to_string(worker)}})
      .Set(static_cast<double>(open));
}

void Metrics::readers(std::size_t worker, std::size_t open) {
  families_->streams->readers.Add({{"thread", std::to_string(worker)}})
      .Set(static_cast<double>(open));
}

void Metrics::streamed(const http::StreamCounts& more) {
  families_->streams->events.Increment(static_cast<double>(more.events));
  families_->streams->replaced.Increment(static_cast<double>(more.replaced));
  families_->streams->slow.Increment(static_cast<double>(more.slow));
}

std::string Metrics::text(const EngineFacts& facts) {
  families_->ready->Set(facts.ready ? 1 : 0);
  families_->invalid->Set(facts.invalid_records);
  families_->duplicates->Set(facts.duplicate_ballots);
  for (const auto& [name, applied, log_end] : facts.partitions) {
    families_->applied->Add({{"partition", name}}).Set(static_cast<double>(applied));
    families_->lag->Add({{"partition", name}})
        .Set(static_cast<double>(log_end - std::min(applied, log_end)));
  }
  if (families_->embedded) families_->embedded->records.Set(facts.log_records);
  auto& cpu = *families_->process_cpu;
  cpu.Increment(std::max(process_cpu_seconds() - cpu.Value(), 0.0));
  if (facts.kafka) families_->kafka->set(*facts.kafka);
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

Load Metrics::load(bool ready) {
  Load load;
  load.ready = ready;
  load.cpu_seconds = process_cpu_seconds();
  for (const auto& family : families_->open_connections->Collect())  // none before the first one
    for (const auto& thread : family.metric) load.connections += thread.gauge.value;
  for (const auto& route : families_->requests)
    for (const auto* counter : route) load.requests += counter->Value();
  for (std::size_t i = 0; i < kOutcomes; ++i)
    load.outcomes.push_back(
        {wire::describe(static_cast<model::Outcome>(i), wire::Language::en).code,
         families_->outcomes[i]->Value()});
  for (const auto& bucket : families_->ballot_seconds->Collect().histogram.bucket)
    load.latency.push_back({bucket.upper_bound, static_cast<double>(bucket.cumulative_count)});
  return load;
}

}  // namespace veche::api
