// Turnout over time as a drawing, and the same numbers as a table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/model/poll.h"
#include "ingest/web/html.h"
#include "ingest/web/texts.h"

namespace veche::web {

struct TurnoutPoint {
  model::Instant at;
  std::uint64_t ballots = 0;  // counted by then
};

// A section with its heading; nothing for less than three points, which say no more than the
// figure. Points are in the order of time; of more than limits::kTurnoutPointsShown some are left
// out, the last never. The script leaves it as it is, so it says of which moment it is. `least` is
// what a number that is not told is said to be below; such a one is 0 here, and never there.
Html turnout_chart(std::span<const TurnoutPoint> series, model::Instant as_of,
                   std::optional<std::uint64_t> least, Language language);

}  // namespace veche::web
