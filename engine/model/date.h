// A day of the calendar, as the log and the API write it: YYYY-MM-DD, years 0000 to 9999.
//
// A type of its own and no time: times of the system's clock count nanoseconds in 64 bits, from
// 1677 to 2262, and a std::chrono::sys_days becomes one of them without a word, 9999 as 1816. A
// year_month_day does not.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace veche::model {

using Date = std::chrono::year_month_day;

std::optional<Date> parse_date(std::string_view text);
std::string format_date(Date date);

// The day of a time where clocks show so much more than UTC.
template <class Duration>
Date date_of(std::chrono::sys_time<Duration> at, std::chrono::seconds ahead_of_utc = {}) {
  return std::chrono::floor<std::chrono::days>(at + ahead_of_utc);
}

}  // namespace veche::model
