// An invented region of real shape, for `veche demo`, tests and benchmarks: as many municipalities
// of each kind, as deep and as unequal as those of Chelyabinsk region, and nothing of it real.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/ids.h"

namespace veche::tools {

// A territory without others below it, where people live and are registered.
struct Home {
  model::TerritoryCode code;
  std::uint32_t population = 0;
};

struct Region {
  std::string csv;          // for TerritoryTree::parse_csv: the region and 319 territories below it
  std::vector<Home> homes;  // every territory without others below it, by code
};

// The same region for the same seed. About 3.4 million people by a Zipf-like law: a third of them
// in the capital, a few hundred in the smallest settlement.
Region make_region(std::uint64_t seed);

}  // namespace veche::tools
