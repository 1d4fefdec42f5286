#include "storage/kafka/standing.h"

#include <fmt/format.h>

namespace veche::storage {

void Standing::Flow::move() {
  waits = has_given_up = is_stuck = is_refused = false;
  why.clear();
}

void Standing::Flow::stick(const std::string& said, Clock::time_point now) {
  why = said;
  is_stuck = true;
  stuck_at = now;
}

// Only a leader that answers is said to take or give nothing: else it is silent.
void Standing::Flow::look(bool answered, bool waiting, Clock::time_point now) {
  if (!answered || !(waiting || has_given_up)) {
    waits = has_given_up = false;
    return;
  }
  if (!waits) since = now;
  waits = true;
  if (now - since > limits::kKafkaUnreachable && !is_stuck) stick(why, now);
}

void Standing::took(Clock::time_point now) {
  heard_at_ = now;
  takes_.move();
}

void Standing::gave(Clock::time_point now) {
  heard_at_ = now;
  gives_.move();
}

void Standing::look(const Seen& seen, Clock::time_point now) {
  if (seen.answered) heard_at_ = now;
  error_ = seen.error;
  takes_.look(seen.answered, seen.unacknowledged, now);
  gives_.look(seen.answered, seen.unread, now);
  // Whether it gives records again shows only when there are some.
  if (gives_.is_stuck && seen.answered && !seen.unread &&
      now - gives_.stuck_at > limits::kParkDeadline)
    gives_.move();
}

// What was written before has been given up by then, so its sender waits for nothing.
bool Standing::may_try(Clock::time_point now) {
  if (gives_.is_stuck || is_silent(now) || now - takes_.stuck_at < limits::kParkDeadline)
    return false;
  takes_.stuck_at = now;
  return true;
}

std::string Standing::trouble(Clock::time_point now) const {
  if (is_silent(now))
    return fmt::format("its leader cannot be reached since {} s{}", silence(now).count(),
                       error_.empty() ? "" : ": " + error_);
  if (takes_.is_stuck)
    return takes_.why.empty() ? "its leader answers, but takes no records"
                              : "Kafka refuses what this node writes: " + takes_.why;
  if (gives_.is_stuck && gives_.is_refused)
    return "Kafka does not let this node read it: " + gives_.why;
  if (gives_.is_stuck)
    return "its leader answers, but gives no records" +
           (gives_.why.empty() ? gives_.why : ": " + gives_.why);
  return {};
}

}  // namespace veche::storage
