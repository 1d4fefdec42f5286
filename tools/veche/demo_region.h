// What `veche demo` votes about: four polls in the generated region, one of each kind of question.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/poll.h"
#include "engine/model/territory.h"
#include "tools/veche/region.h"

namespace veche::tools {

struct DemoRegion {
  Region region;
  model::TerritoryTree tree;
  std::vector<model::PollDefinition> polls;
};

// The same for the same seed. The polls open an hour after `now` by themselves; the demo opens them
// itself and closes them when it ends, at the latest after a year.
//
//   bus-routes   approval  the whole region
//   budget       points    the whole region, in steps: most villages stay hidden to the end
//   embankment   single    the capital, a city okrug
//   square       ranked    the most populous municipal district
DemoRegion make_demo_region(std::uint64_t seed, model::Instant now);

}  // namespace veche::tools
