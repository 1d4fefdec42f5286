// The first record of every partition: it names the log and binds it to one voter secret. What is
// the same for both kinds of log.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/model/ids.h"
#include "engine/model/result.h"

namespace veche::storage {

// Tells voter secrets apart without telling them.
using SecretCheck = std::array<std::uint8_t, 16>;

struct Genesis {
  model::LogId log_id;
  std::uint16_t partitions = 0;  // of ballots
  SecretCheck secret_check{};

  friend bool operator==(const Genesis&, const Genesis&) = default;
};

// Of a new log, with an id drawn at random.
Genesis make_genesis(std::uint16_t partitions, const SecretCheck& secret_check);

std::string serialize(const Genesis& genesis);

// `where` names the log in faults: not a GENESIS, or of a format that this program does not read.
Result<Genesis> read_genesis(std::string_view record, std::string_view where);

// A fault: the log was made with another voter secret, and with this one every voter would be new.
Result<void> check_secret(const Genesis& genesis, const SecretCheck& ours, std::string_view where);

}  // namespace veche::storage
