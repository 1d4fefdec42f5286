// One answer of one broker proves no loss: after a change of leaders one that is behind, or leads
// no more, may tell of an end that the log has long passed, and librdkafka 2.0.2 does not fence
// what it asks. So such an answer raises a doubt. It holds when it was told again and again, for a
// while, and nothing that was read or told meanwhile spoke against it. What was told long before
// says nothing about now.
//
// Pure; owned by one thread.
#pragma once

#include <chrono>

#include "engine/model/limits.h"

namespace veche::storage {

class Doubt {
 public:
  using Clock = std::chrono::steady_clock;

  void raise(Clock::time_point now) {
    if (now - last_ > limits::kKafkaDoubt) settle();
    if (answers_++ == 0) since_ = now;
    last_ = now;
  }
  void settle() { answers_ = 0; }

  bool holds(Clock::time_point now) const {
    return answers_ >= limits::kKafkaDoubtAnswers && now - since_ >= limits::kKafkaDoubt;
  }

 private:
  int answers_ = 0;  // that told of the loss
  Clock::time_point since_, last_;
};

}  // namespace veche::storage
