#include "ingest/api/writers.h"

#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "engine/model/limits.h"
#include "engine/model/thread_name.h"

namespace veche::api {
namespace {

// On Linux a nice value is the thread's own. One that cannot be set costs latency, nothing else.
void give_way() {
  constexpr int kNice = 10;
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

}  // namespace

Writers::Writers() {
  for (std::size_t i = 0; i < limits::kDocumentsAtOnce; ++i)
    threads_.emplace_back([this] { work(); });
}

Writers::~Writers() { stop(); }

void Writers::run(std::function<void()> job, Order order) {
  const std::lock_guard lock(mutex_);
  if (is_stopping_) return;
  (order == Order::first ? first_ : in_turn_).push_back(std::move(job));
  added_.notify_one();
}

void Writers::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    first_.clear();
    in_turn_.clear();
    added_.notify_all();
  }
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
}

void Writers::work() {
  model::name_thread("writer");
  give_way();
  std::unique_lock lock(mutex_);
  while (true) {
    added_.wait(lock, [this] { return is_stopping_ || !first_.empty() || !in_turn_.empty(); });
    if (is_stopping_) return;
    auto& jobs = first_.empty() ? in_turn_ : first_;
    auto job = std::move(jobs.front());
    jobs.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // with all that it holds
    lock.lock();
  }
}

}  // namespace veche::api
