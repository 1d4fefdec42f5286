// What an operator watches, as Prometheus text. No label names a voter, a poll or a territory: a
// counter that moves by one would tell who voted. Thread-safe.
#pragma once

#include <array>
#include <memory>
#include <string>

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
struct EngineFacts {
  bool ready = false;
  double applied_records = 0;
  double invalid_records = 0;
  double duplicate_ballots = 0;
  double log_groups = 0;
  double log_records = 0;
  double log_sync_seconds = 0;
};

class Metrics final : public http::Observer {
 public:
  Metrics();
  ~Metrics() override;

  void count(model::Outcome outcome, std::size_t ballots = 1);
  // One JSON line a request goes to this file from now on; "-" is stderr.
  bool log_requests_to(const std::string& file);

  void request_done(const http::RequestDone& done) override;
  void connections(std::size_t worker, std::size_t open) override;

  std::string text(const EngineFacts& facts);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace veche::api
