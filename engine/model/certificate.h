// The final result of a poll as its certifier saw it, for ever. Immutable, and shared between
// threads.
#pragma once

#include <string>

#include "engine/model/poll.h"

namespace veche::model {

struct Certificate {
  std::string compressed;  // the document, with zstd: served as it was, byte for byte
  std::string sha256;      // of the document: 32 bytes
  std::string by;          // role and pseudonym
  Instant at;
};

}  // namespace veche::model
