// Long work of an HTTP thread, done in slices: nobody else on the thread waits for more than one of
// them. Belongs to the thread of its worker, and lives as long.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <utility>

#include "engine/model/limits.h"
#include "ingest/http/worker.h"

namespace veche::http {

class Slices {
 public:
  explicit Slices(Worker& worker) : worker_(worker) {}

  // Calls `step` until it returns false: for one slice at once, and then in turns with all else
  // that the thread has to do, other work in slices too. A step is short.
  template <class Step>
  void run(Step step) {
    if (!slice(step)) return;
    waiting_.emplace_back(std::move(step));
    ask_for_a_turn();
  }

 private:
  // True: there is more to do.
  template <class Step>
  static bool slice(Step& step) {
    const auto end = std::chrono::steady_clock::now() + limits::kSlice;
    while (step())
      if (std::chrono::steady_clock::now() >= end) return true;
    return false;
  }

  void ask_for_a_turn() {
    if (waiting_.empty() || std::exchange(has_turn_, true)) return;
    worker_.post([this] { turn(); });
  }

  void turn() {
    has_turn_ = false;
    auto step = std::move(waiting_.front());
    waiting_.pop_front();
    if (slice(step)) waiting_.push_back(std::move(step));
    ask_for_a_turn();
  }

  Worker& worker_;
  std::deque<std::function<bool()>> waiting_;
  bool has_turn_ = false;  // it is posted
};

}  // namespace veche::http
