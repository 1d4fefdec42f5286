// What waits for an engine thread: ballots from HTTP threads, records from the log, and calls.
// Taken all at once, so that one wake-up serves a whole group. push may be called from any
// thread; take from the owning thread alone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <iterator>
#include <mutex>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "engine/model/record_batch.h"
#include "engine/node/reply.h"

namespace veche::node {

struct Delivery {
  model::PartitionId partition;
  model::Offset first;
  model::RecordBatch records;
  model::Offset durable;
  std::chrono::steady_clock::time_point arrived;
};

struct Mail {
  std::vector<Delivery> deliveries;
  std::vector<BallotRequest> requests;
  std::vector<std::function<void()>> calls;
  bool stop = false;

  bool empty() const { return deliveries.empty() && requests.empty() && calls.empty() && !stop; }
};

class Mailbox {
 public:
  void push(std::vector<BallotRequest> requests) {
    const std::lock_guard lock(mutex_);
    if (mail_.requests.empty())
      mail_.requests = std::move(requests);
    else
      std::move(requests.begin(), requests.end(), std::back_inserter(mail_.requests));
    arrived_.notify_one();
  }

  void push(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    mail_.calls.push_back(std::move(call));
    arrived_.notify_one();
  }

  // Blocks while too much is waiting: the log must not run ahead of a replaying shard.
  void push(Delivery delivery) {
    std::unique_lock lock(mutex_);
    taken_.wait(lock, [&] { return delivered_bytes_ < limits::kMailboxBytes || closed_; });
    if (closed_) return;
    delivered_bytes_ += delivery.records.bytes().size();
    mail_.deliveries.push_back(std::move(delivery));
    arrived_.notify_one();
  }

  // The owner will take what is there, and then stop.
  void stop() {
    const std::lock_guard lock(mutex_);
    mail_.stop = true;
    arrived_.notify_one();
  }

  // The owner takes nothing any more: nobody may block on it.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    taken_.notify_all();
  }

  Mail take(std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, at_most, [&] { return !mail_.empty(); });
    delivered_bytes_ = 0;
    taken_.notify_all();
    return std::exchange(mail_, Mail());
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable taken_;
  Mail mail_;
  std::size_t delivered_bytes_ = 0;
  bool closed_ = false;
};

}  // namespace veche::node
