// How one partition of a log in Kafka goes: whether its leader answers, takes records, and gives
// them. A partition that does not is refused by itself, at once, while the others go on; it is
// tried again by single groups until one is acknowledged.
//
// Pure; guarded by its owner.
#pragma once

#include <chrono>
#include <string>

#include "engine/model/limits.h"

namespace veche::storage {

class Standing {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Standing(Clock::time_point now) : heard_at_(now) {}

  // A record was acknowledged, or read.
  void took(Clock::time_point now);
  void gave(Clock::time_point now);
  // A record was given up: it was not acknowledged as long as anybody waits for it.
  void gave_up() { takes_.has_given_up = takes_.waits; }
  // Kafka refused a record, or a question for records, in a way that no retry can mend.
  void refused_to_take(const std::string& why, Clock::time_point now) { takes_.stick(why, now); }
  void refused_to_give(const std::string& why, Clock::time_point now) {
    gives_.stick(why, now);
    gives_.is_refused = true;
  }
  // The reader met an error that may pass; told if it does not.
  void failed_to_give(const std::string& why) {
    gives_.why = why;
    gives_.is_refused = false;
  }

  // What a probe saw: whether the leader told the partition's end (else `error`), and whether
  // records wait to be acknowledged, or to be read.
  struct Seen {
    bool answered = false;
    std::string error = {};
    bool unacknowledged = false;
    bool unread = false;
  };
  void look(const Seen& seen, Clock::time_point now);

  bool is_silent(Clock::time_point now) const {
    return now - heard_at_ > limits::kKafkaUnreachable;
  }
  bool is_stuck() const { return takes_.is_stuck || gives_.is_stuck; }
  // True: one group may be written although is_stuck(), to see whether it is taken again.
  bool may_try(Clock::time_point now);

  // For a person; empty: it goes well.
  std::string trouble(Clock::time_point now) const;
  std::chrono::seconds silence(Clock::time_point now) const {
    return std::chrono::floor<std::chrono::seconds>(now - heard_at_);
  }

 private:
  // Records on their way in one direction.
  struct Flow {
    bool waits = false;  // there are some, and none has moved since:
    Clock::time_point since;
    bool has_given_up = false;  // on one of them, so that it goes on waiting when none is left
    bool is_stuck = false;
    bool is_refused = false;     // by what Kafka said last; else it may be of any cause
    std::string why;             // what Kafka said of it last
    Clock::time_point stuck_at;  // or tried again

    void move();
    void stick(const std::string& said, Clock::time_point now);
    void look(bool answered, bool waiting, Clock::time_point now);
  };

  Flow takes_, gives_;
  Clock::time_point heard_at_;
  std::string error_;  // of the last question for the end
};

}  // namespace veche::storage
