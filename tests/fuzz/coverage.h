#pragma once

namespace veche::fuzz {

// Before each input.
void begin_trace();

}  // namespace veche::fuzz
