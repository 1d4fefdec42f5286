// An immutable value that many threads read and one replaces at times: who has it keeps it for as
// long as he likes. load() and store() from any thread; each takes a lock for as long as it takes
// to copy a pointer, so who reads for every request keeps what he got and asks whether there is
// another.
//
// Why not std::atomic<std::shared_ptr>: in libstdc++ 12 its load() ends by a relaxed store, so that
// nothing orders the reading of the pointer before the next store() to it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace veche::model {

template <class T>
class SharedValue {
 public:
  explicit SharedValue(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  std::shared_ptr<const T> load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

  void store(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);  // the old one ends with the argument, behind the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace veche::model
