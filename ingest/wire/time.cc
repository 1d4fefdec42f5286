#include "ingest/wire/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace veche::wire {
namespace {

using namespace std::chrono;

// Exactly two digits, at most `most`.
std::optional<int> two_digits(std::string_view text, std::size_t at, int most) {
  if (text.size() < at + 2) return std::nullopt;
  int value = 0;
  const auto* end = text.data() + at + 2;
  const auto [stop, error] = std::from_chars(text.data() + at, end, value);
  if (error != std::errc() || stop != end || value < 0 || value > most) return std::nullopt;
  return value;
}

// What follows the seconds: a fraction, cut to milliseconds, and is taken off `text`.
std::optional<milliseconds> take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return milliseconds(0);
  const auto digits = text.find_first_not_of("0123456789", 1) - 1;
  if (digits < 1 || digits > 9) return std::nullopt;
  int value = 0;
  for (std::size_t i = 1; i <= 3; ++i) value = value * 10 + (i <= digits ? text[i] - '0' : 0);
  text.remove_prefix(1 + digits);
  return milliseconds(value);
}

std::optional<minutes> read_zone(std::string_view text) {
  if (text == "Z" || text == "z") return minutes(0);
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hour = two_digits(text, 1, 23), minute = two_digits(text, 4, 59);
  if (!hour || !minute) return std::nullopt;
  const auto offset = hours(*hour) + minutes(*minute);
  return text[0] == '-' ? -offset : offset;
}

}  // namespace

std::string format_time(model::Instant time) {
  const hh_mm_ss clock(time - floor<days>(time));
  const auto text =
      fmt::format("{}T{:02}:{:02}:{:02}", model::format_date(model::date_of(time)),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  const auto fraction = clock.subseconds().count();
  return fraction == 0 ? text + "Z" : fmt::format("{}.{:03}Z", text, fraction);
}

std::optional<model::Instant> parse_time(std::string_view text) {
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  const auto day = model::parse_date(text.substr(0, 10));
  const auto hour = two_digits(text, 11, 23), minute = two_digits(text, 14, 59),
             second = two_digits(text, 17, 59);
  auto rest = text.substr(19);
  const auto fraction = take_fraction(rest);
  const auto zone = read_zone(rest);
  if (!day || !hour || !minute || !second || !fraction || !zone) return std::nullopt;
  const model::Instant time(sys_days(*day) + hours(*hour) + minutes(*minute) + seconds(*second) +
                            *fraction - *zone);
  const bool is_allowed =
      time >= sys_days(year(1970) / 1 / 1) && time < sys_days(year(10'000) / 1 / 1);
  return is_allowed ? std::optional(time) : std::nullopt;
}

std::optional<model::Date> local_date(std::string_view text) {
  const auto zone = read_zone(text.substr(std::min(text.size(), text.find_first_of("Zz+-", 19))));
  return zone && *zone != minutes(0) ? model::parse_date(text.substr(0, 10)) : std::nullopt;
}

}  // namespace veche::wire
