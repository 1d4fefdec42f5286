// Times as the API writes them: RFC 3339 in UTC.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/model/date.h"
#include "engine/model/poll.h"

namespace veche::wire {

// "2026-09-01T00:00:00Z"; milliseconds are written where there are any.
std::string format_time(model::Instant time);

// "2026-09-01T00:00:00Z" or with a fraction or an offset such as +05:00; in UTC, years 1970..9999.
std::optional<model::Instant> parse_time(std::string_view text);

// The day that a text which parse_time reads begins with: where its offset is the local one, it is
// the day there. nullopt where the time is written in UTC, which tells nothing of a place.
std::optional<model::Date> local_date(std::string_view text);

}  // namespace veche::wire
