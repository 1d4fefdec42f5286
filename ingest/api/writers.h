// Two threads for what is too large to be made on a thread that answers ballots: documents of
// thousands of places, and what has to be packed. They give way to all others where cores are
// short. Jobs are taken in the order in which they were added, those that come first before the
// others. Whoever adds them bounds them.
//
// Order of life: construct; any calls; stop; destruct. stop when nobody waits for a job any more,
// and while what jobs use still lives.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace veche::api {

class Writers {
 public:
  enum class Order : std::uint8_t { in_turn, first };

  Writers();
  ~Writers();

  // From any thread, also from within a job.
  void run(std::function<void()> job, Order order = Order::in_turn);
  // Returns when those that run have ended; the others are dropped.
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::function<void()>> first_, in_turn_;
  bool is_stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace veche::api
