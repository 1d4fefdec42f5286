// Reading and writing of records: the C++ side of record.proto.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/model/ballot.h"
#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "record.pb.h"

namespace veche::model {

inline constexpr std::uint32_t kRecordMagic = 0x56434831;
inline constexpr std::uint32_t kLogFormat = 1;
inline constexpr std::uint32_t kCountingRules = 1;
inline constexpr std::string_view kPartitionHash = "xxh3-64/1";

// Writes the envelope of one process's records: its boot id, and a counter that makes each record
// recognisable when it comes back. Owned by one thread.
class RecordWriter {
 public:
  // Writers of one process share the boot id and have different lanes (at most 255).
  RecordWriter(BootId boot, std::uint8_t lane) : boot_(boot), next_(std::uint64_t{lane} << 56) {}

  const BootId& boot() const { return boot_; }

  // The envelope for a ballot whose message was serialized elsewhere: head + ballot is the record.
  // Returns the record's counter.
  std::uint64_t ballot_head(std::size_t ballot_bytes, std::string& head);

  // Fills the envelope of a record of another kind. Returns its counter.
  std::uint64_t stamp(v1::Record& record);

 private:
  BootId boot_;
  std::uint64_t next_;
};

enum class Decoded : std::uint8_t {
  ours,
  foreign,       // not ours, or broken: counted as invalid and skipped
  unknown_kind,  // ours, of a kind that this program does not know: it must stop
};
Decoded decode(std::string_view bytes, v1::Record& record);

// Everything of a BALLOT but its envelope, serialized where the request is handled.
std::string serialize_ballot(const PollId& poll, const VoterKey& voter,
                             const TerritoryCode& territory, std::uint8_t level,
                             std::string_view canonical_answers, const Digest& digest,
                             std::uint32_t unix_hour);

// Answers of a record. False: a number is out of range or the lists do not match.
bool read_answers(const v1::Answers& message, Answers& answers);

// What HELLO and NOOP tell of their writer.
v1::Tail tail_of(const Position& applied, Instant now);

v1::Definition to_message(const PollDefinition& poll);
// nullptr: an id or an enum value is not well formed, or check() finds a fault.
std::shared_ptr<const PollDefinition> read_definition(const v1::Definition& message);

// The partition of a voter's ballots: XXH3 over poll id, one zero byte and voter key, mod P.
PartitionId partition_of(const PollId& poll, const VoterKey& voter, std::uint16_t partitions);

// Tells one record from another: only a record that a log had to try again lies in it twice.
std::uint64_t fingerprint(std::string_view record);

// The rolling hash after one more record: XXH3-128 over the hash so far and the record's XXH3-128.
RollingHash roll(const RollingHash& so_far, std::string_view record);

}  // namespace veche::model
