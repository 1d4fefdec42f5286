// What each fuzz target defines, and a main of afl_main.cc or replay_main.cc calls with one input
// after the other.
#pragma once

#include <string_view>

namespace veche::fuzz {

// Ends the process where the code under test breaks a promise; every other input is a good one.
void run(std::string_view input);

}  // namespace veche::fuzz
