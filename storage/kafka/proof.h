// Which records of a partition may be spoken of. Before Kafka 3.9 a record could be read and yet be
// lost with its broker, so reading it proves nothing. What proves a record, and every one before
// it, is an acknowledgement of our own for that offset or a later one, if the record that was read
// there is the one that was acknowledged. If it is another, the log was cut and grew again.
//
// Pure; owned by one thread. Records are known by model::fingerprint.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "engine/model/ids.h"

namespace veche::storage {

class Proof {
 public:
  using Clock = std::chrono::steady_clock;

  struct Acknowledged {
    model::Offset at;
    std::uint64_t fingerprint = 0;
    Clock::time_point produced;  // when it was handed to Kafka
  };

  // Reading begins at `start`.
  explicit Proof(model::Offset start) : start_(start), next_(start), read_(kHistory) {}

  // The next record was read, or acknowledged. False: an acknowledged record is not in the log.
  bool read(std::uint64_t fingerprint) {
    read_[next_.value % kHistory] = fingerprint;
    next_ = next_.plus(1);
    return settle();
  }
  bool acknowledged(const Acknowledged& record) {
    unread_.push_back(record);
    return settle();
  }

  // Whether a record that comes once more is the one that was read at its offset, as far as is
  // remembered.
  bool holds(model::Offset at, std::uint64_t fingerprint) const {
    if (at < start_ || at >= next_ || at.plus(kHistory) < next_) return true;
    return read_[at.value % kHistory] == fingerprint;
  }

  // The last record that was read, to be looked at again; before the first, where reading begins.
  model::Offset last() const { return {next_ > start_ ? next_.value - 1 : start_.value}; }
  model::Offset next() const { return next_; }        // to be read
  model::Offset durable() const { return durable_; }  // everything below is proven
  const Acknowledged& newest() const { return newest_; }
  bool has_unread() const { return !unread_.empty(); }

 private:
  static constexpr std::size_t kHistory = 16'384;  // records back that can be compared

  bool settle() {
    while (!unread_.empty() && unread_.front().at < next_) {
      const auto record = unread_.front();
      unread_.pop_front();
      if (record.at < start_) return false;
      if (record.at.plus(kHistory) < next_) continue;  // too late to tell
      if (read_[record.at.value % kHistory] != record.fingerprint) return false;
      if (record.at < durable_) continue;
      durable_ = record.at.plus(1);
      newest_ = record;
    }
    return true;
  }

  model::Offset start_;
  model::Offset next_;
  model::Offset durable_;
  Acknowledged newest_;
  std::deque<Acknowledged> unread_;  // in the order of their acknowledgement
  std::vector<std::uint64_t> read_;
};

}  // namespace veche::storage
