// Sends prepared requests over many connections from one thread, and tells what was answered. As
// lean as a generator must be that shares its machine with what it measures: bytes are sent from
// where they lie, and nothing is waited for that epoll has not announced.
//
// A request is sent once. If its connection ends before the answer, what became of it is unknown,
// and the source hears that; the connection is made anew for the next ones.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/model/result.h"
#include "ingest/http/client.h"

namespace veche::http {

struct PreparedRequest {
  std::uint64_t number = 0;  // the source's own
  std::string_view bytes;    // the whole of it; stay until it is answered or lost
  // Not sent before; its latency counts from then, however late it is sent. None: from its sending.
  std::optional<std::chrono::steady_clock::time_point> planned = {};
};

// Where requests come from and answers go. Called from the thread of run() alone.
class LoadSource {
 public:
  virtual ~LoadSource() = default;

  // Asked when a connection is free; none: there are no more, ever. Plans do not go back in time.
  virtual std::optional<PreparedRequest> next() = 0;
  // The answer's latency counts from the plan, where there is one; `since_sent` never does.
  virtual void answered(std::uint64_t number, const Answer& answer,
                        std::chrono::nanoseconds since_sent) = 0;
  virtual void lost(std::uint64_t number) = 0;
};

struct GeneratorOptions {
  std::size_t connections = 1;
  std::size_t pipeline = 1;  // requests of a connection on their way at once
  // After so many answers a connection is closed and made anew. Its first request's latency then
  // counts from the beginning of connecting.
  std::optional<std::uint64_t> requests_per_connection = {};
  std::chrono::milliseconds answer_timeout = std::chrono::seconds(30);
};

struct GeneratorReport {
  std::uint64_t connections = 0;         // made
  std::uint64_t broken_connections = 0;  // refused, reset, silent or not HTTP, at any time
  std::chrono::nanoseconds cpu{};        // of the calling thread
  std::chrono::nanoseconds duration{};
  // How late planned requests were sent though a connection was free: the generator's own fault.
  std::chrono::nanoseconds lateness_p99{};
};

// Blocks until the source has no more and everything sent is answered or lost. A fault: no
// connection could be made at all.
Result<GeneratorReport> generate_load(std::string_view url, const GeneratorOptions& options,
                                      LoadSource& source);

}  // namespace veche::http
