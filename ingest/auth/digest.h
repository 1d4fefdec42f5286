// Hashes of what voters and gateways send. Callable from any thread.
#pragma once

#include <string_view>

#include "engine/model/ids.h"
#include "ingest/auth/primitives.h"

namespace veche::auth {

// Tells a retry from another ballot: equal for equal answers to the same poll. The log keeps it, so
// it never changes.
//
//   BLAKE2b-128, personalised "veche ballot v1", over  poll size u8 | poll | canonical answers
model::Digest digest_of(const model::PollId& poll, std::string_view canonical_answers);

Bytes32 sha256(std::string_view message);

}  // namespace veche::auth
