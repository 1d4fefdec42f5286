// What the engine needs of the world. Storage implements the log and the index; the engine never
// asks which log it has, but whether others write into it, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/record_batch.h"
#include "engine/model/result.h"

namespace veche::model {

// Receives a partition's records. deliver is called from the log's own thread, in order and
// without gaps; it may block for a while when the receiver is behind, and the log waits then.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // `first` is the offset of the first record. Every record below `durable` survives whatever the
  // log promises to survive; answers may speak of those alone.
  virtual void deliver(PartitionId partition, Offset first, RecordBatch records,
                       Offset durable) = 0;
};

enum class AppendStatus : std::uint8_t {
  queued,       // it will be delivered, or the process or the log's connection fails: then unknown
  full,         // nothing was taken: too much is queued, or the disk is nearly full
  unavailable,  // nothing was taken: the partition cannot be written now; trouble() tells why
  closed,       // nothing was taken: the log is closing
};

// What the log knew of a partition's end: at `as_of`, by this machine's clock, every record in it
// lay below `offset`.
struct LogEnd {
  Offset offset;
  Instant as_of;
};

// The durable, ordered record of everything that happened, in `partitions()` ballots partitions
// and one of control. An appended record comes back through the partition's sink: that delivery,
// known again by its boot id and counter, is the completion; it may come more than once. All
// methods may be called from any thread.
class Log {
 public:
  virtual ~Log() = default;
  virtual std::uint16_t partitions() const = 0;
  virtual LogId id() const = 0;
  // Whether nobody but this object writes into the log while it is open: what it did not append
  // since then was in it before, and everything comes back in the order of the appends.
  virtual bool sole_writer() const = 0;

  // Queues records of one partition. They become durable together or one by one, in order but
  // where a log of several machines had to try one again.
  virtual AppendStatus append(PartitionId partition, RecordBatch records) = 0;

  // Delivers everything from `from` on to `sink`, the stored records first, until close. One
  // consumer a partition; the sink outlives the log's close.
  virtual void consume(PartitionId partition, Offset from, LogSink& sink) = 0;

  // The end as it was seen last.
  virtual LogEnd end(PartitionId partition) const = 0;

  // Whether the log certainly holds fewer records than `offset`. A log that must believe others
  // says false, and fails by itself if what it was asked to consume stays missing.
  virtual bool lacks(PartitionId partition, Offset offset) const {
    return end(partition).offset < offset;
  }

  // Why appends to a partition are refused now, for the person who has to mend it; empty: they are
  // not. The other partitions may take them.
  virtual std::string trouble(PartitionId partition) const = 0;

  // Nothing more is delivered to consumers that are still catching up: for a start that is broken
  // off. close() does not wait for them then.
  virtual void abandon_replay() = 0;

  // Refuses further appends, makes what is queued durable, delivers it, and stops.
  virtual void close() = 0;
};

// The counted ballot of a voter.
struct Counted {
  Offset offset;
  Digest digest;
  friend bool operator==(const Counted&, const Counted&) = default;
};

// Numbers the polls of one partition in the order of their OPEN records.
struct PollNumber {
  std::uint32_t value = 0;
  friend auto operator<=>(const PollNumber&, const PollNumber&) = default;
};

// (poll, voter key) -> counted ballot. Derived from the log; used by the one thread that owns the
// partition.
class VoterIndex {
 public:
  virtual ~VoterIndex() = default;
  virtual std::optional<Counted> find(PartitionId partition, PollNumber poll,
                                      const VoterKey& voter) = 0;
  virtual void insert(PartitionId partition, PollNumber poll, const VoterKey& voter,
                      const Counted& counted) = 0;
};

}  // namespace veche::model
