// What all handlers share, and what each HTTP thread keeps for itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/model/directory.h"
#include "engine/model/shared_value.h"
#include "engine/node/node.h"
#include "ingest/api/metrics.h"
#include "ingest/auth/jwks.h"
#include "ingest/auth/verifier.h"
#include "ingest/auth/voter.h"
#include "ingest/http/handler.h"
#include "ingest/http/worker.h"
#include "ingest/wire/outcome.h"
#include "ingest/wire/time_zone.h"

namespace veche::api {

class Documents;
class Live;
class Writers;

// Shared by all HTTP threads. The node outlives every request.
class App {
 public:
  App(node::Node& engine, Live& streamed, Writers& threads, Documents& made,
      auth::VoterSecret secret, std::shared_ptr<const auth::KeySet> keys, Metrics& counted)
      : node(engine),
        live(streamed),
        writers(threads),
        documents(made),
        voter_secret(std::move(secret)),
        metrics(counted),
        keys_(std::move(keys)) {}

  // Tokens are checked with the new keys from the next request on.
  void replace_keys(std::shared_ptr<const auth::KeySet> keys) {
    keys_.store(std::move(keys));
    keys_version_.fetch_add(1, std::memory_order_release);
  }
  std::shared_ptr<const auth::KeySet> keys() const { return keys_.load(); }
  std::uint64_t keys_version() const { return keys_version_.load(std::memory_order_acquire); }

  // Readiness says "draining" from now on, for balancers to see; everything is served yet.
  void announce_drain() { leaving_.store(true, std::memory_order_release); }
  bool leaving() const { return leaving_.load(std::memory_order_acquire) || draining(); }

  // New requests are refused from now on; those that were taken are answered.
  void start_draining() { draining_.store(true, std::memory_order_release); }
  bool draining() const { return draining_.load(std::memory_order_acquire); }

  // The pages say that nothing here is real. Before the server starts.
  void mark_test_data() { has_test_data_ = true; }
  bool has_test_data() const { return has_test_data_; }

  // Days are those of this zone. Before the server starts.
  void use_time_zone(wire::TimeZone zone) { time_zone_ = std::move(zone); }
  const std::optional<wire::TimeZone>& time_zone() const { return time_zone_; }

  node::Node& node;
  Live& live;
  Writers& writers;
  Documents& documents;
  const auth::VoterSecret voter_secret;
  Metrics& metrics;

 private:
  model::SharedValue<auth::KeySet> keys_;
  std::atomic<std::uint64_t> keys_version_{1};
  std::atomic<bool> leaving_{false};
  std::atomic<bool> draining_{false};
  bool has_test_data_ = false;
  std::optional<wire::TimeZone> time_zone_;
};

// Of one HTTP thread: caches of what the App has, and tools that are not shared.
class Local {
 public:
  Local(App& shared, http::Worker& own) : app(shared), worker(own) {}

  auth::Verifier& verifier();
  const model::Directory& directory();
  auth::PollSecret& secret_of(const model::PollId& poll);

  App& app;
  http::Worker& worker;

 private:
  std::unique_ptr<auth::Verifier> verifier_;
  std::uint64_t keys_version_ = 0;
  std::shared_ptr<const model::Directory> directory_;
  std::uint64_t directory_version_ = 0;
  std::unordered_map<model::PollId, auth::PollSecret> secrets_;
};

std::chrono::sys_seconds now_seconds();
// In the zone of the node, or in UTC.
model::Date today(const std::optional<wire::TimeZone>& zone);

// Of a resource that is JSON and CSV: which one the request asks for. JSON where it asks for none.
bool wants_csv(const http::RequestHead& head);

// What follows "Bearer ", or nothing.
std::string_view bearer(std::string_view authorization);

// The refusals that more than one route gives.
http::Response refusal(model::Outcome outcome, wire::Language language);
http::Response refusal(const auth::TokenRefusal& token);
http::Response unknown_change();  // of a poll or a tree
http::Response unknown_yet();     // of what was asked alone
// What the reader of a stream gets instead: where it may come back later he is told to, in a way
// that an EventSource understands.
http::Response refusal_of_stream(http::Response response);
http::Response faulty_document(std::uint16_t status, std::string_view code, std::string_view detail,
                               const std::vector<model::DocumentFault>& faults);
http::Response json_response(std::uint16_t status, http::Body body);

}  // namespace veche::api
