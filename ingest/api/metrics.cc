#include "ingest/api/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <vector>

#include "engine/model/limits.h"
#include "ingest/api/routes.h"
#include "ingest/wire/outcome.h"

namespace veche::api {
namespace {

constexpr std::size_t kOutcomes = static_cast<std::size_t>(model::Outcome::starting) + 1;
constexpr std::size_t kStatusClasses = 5;                // 1xx..5xx
constexpr std::size_t kRouteSlots = kRoutes.size() + 2;  // and metrics, and none

std::size_t route_slot(http::Route route) { return std::min<std::size_t>(route, kRouteSlots - 1); }

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  std::array<prometheus::Counter*, kOutcomes> outcomes{};
  std::array<std::array<prometheus::Counter*, kStatusClasses>, kRouteSlots> requests{};
  prometheus::Histogram* ballot_seconds = nullptr;
  prometheus::Family<prometheus::Gauge>* open_connections = nullptr;
  prometheus::Gauge* ready = nullptr;
  prometheus::Gauge* applied = nullptr;
  prometheus::Gauge* invalid = nullptr;
  prometheus::Gauge* duplicates = nullptr;
  prometheus::Gauge* log_groups = nullptr;
  prometheus::Gauge* log_records = nullptr;
  prometheus::Gauge* log_sync_seconds = nullptr;
  std::shared_ptr<spdlog::logger> access_log;

  Families() {
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
    ballot_seconds =
        &prometheus::BuildHistogram()
             .Name("veche_ballot_seconds")
             .Help("From the whole request of one ballot to its answer")
             .Register(registry)
             .Add({}, prometheus::Histogram::BucketBoundaries{0.0005, 0.001, 0.002, 0.005, 0.01,
                                                              0.02, 0.05, 0.1, 0.5, 1, 5, 10});
    open_connections = &prometheus::BuildGauge()
                            .Name("veche_http_connections")
                            .Help("Open connections of each HTTP thread")
                            .Register(registry);
    const auto gauge = [&](const char* name, const char* help) {
      return &prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
    };
    ready = gauge("veche_ready", "1 when every partition serves");
    applied = gauge("veche_applied_records", "Records applied, over all ballots partitions");
    invalid = gauge("veche_invalid_records", "Records in the log that were not ours");
    duplicates = gauge("veche_duplicate_ballots", "Ballots in the log of voters counted before");
    log_groups = gauge("veche_log_groups", "Synced groups since the start");
    log_records = gauge("veche_log_records", "Records in those groups");
    log_sync_seconds = gauge("veche_log_sync_seconds", "Time spent in their synced writes");
  }
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}
Metrics::~Metrics() = default;

void Metrics::count(model::Outcome outcome, std::size_t ballots) {
  families_->outcomes[static_cast<std::size_t>(outcome)]->Increment(static_cast<double>(ballots));
}

bool Metrics::log_requests_to(const std::string& file) {
  spdlog::init_thread_pool(limits::kAccessLogQueue, 1);
  std::shared_ptr<spdlog::sinks::sink> sink;
  try {
    if (file == "-")
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
  } catch (const spdlog::spdlog_ex&) {
    return false;
  }
  // When the disk cannot keep up, old lines are dropped: a log must not hold up ballots.
  families_->access_log = std::make_shared<spdlog::async_logger>(
      "access", sink, spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  families_->access_log->set_pattern("%v");
  return true;
}

void Metrics::request_done(const http::RequestDone& done) {
  const auto status_class = static_cast<std::size_t>(done.status / 100 - 1);
  const auto slot = route_slot(done.route);
  families_->requests[slot][std::min(status_class, kStatusClasses - 1)]->Increment();
  const auto seconds = std::chrono::duration<double>(done.duration).count();
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

std::string Metrics::text(const EngineFacts& facts) {
  families_->ready->Set(facts.ready ? 1 : 0);
  families_->applied->Set(facts.applied_records);
  families_->invalid->Set(facts.invalid_records);
  families_->duplicates->Set(facts.duplicate_ballots);
  families_->log_groups->Set(facts.log_groups);
  families_->log_records->Set(facts.log_records);
  families_->log_sync_seconds->Set(facts.log_sync_seconds);
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace veche::api
