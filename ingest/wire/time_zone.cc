#include "ingest/wire/time_zone.h"

#include <fmt/format.h>
#include <unicode/strenum.h>
#include <unicode/timezone.h>

#include <chrono>

#include "engine/model/assert.h"

namespace veche::wire {
namespace {

// ICU makes a zone of "GMT+5", of "EST" and even of a slip, which becomes Etc/Unknown: so only what
// is in its list, and there what has a place in its name.
bool is_known(std::string_view name) {
  if (name == "UTC") return true;
  if (name.find('/') == std::string_view::npos || name == UCAL_UNKNOWN_ZONE_ID) return false;
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::StringEnumeration> names(icu::TimeZone::createTimeZoneIDEnumeration(
      UCAL_ZONE_TYPE_ANY, nullptr, nullptr, status));
  std::int32_t size = 0;
  while (U_SUCCESS(status) && names) {
    const char* known = names->next(&size, status);
    if (!known) return false;
    if (name == std::string_view(known, static_cast<std::size_t>(size))) return true;
  }
  return false;
}

}  // namespace

struct TimeZone::Rules {
  std::unique_ptr<const icu::TimeZone> zone;
};

Result<TimeZone> TimeZone::find(std::string_view name) {
  if (!is_known(name))
    return Fault{fmt::format(
        "there is no time zone '{}': take a name of the IANA database, such as Asia/Yekaterinburg "
        "or Europe/Moscow (timedatectl list-timezones), or UTC",
        name)};
  const icu::StringPiece piece(name.data(), static_cast<std::int32_t>(name.size()));
  auto rules = std::make_shared<Rules>();
  rules->zone.reset(icu::TimeZone::createTimeZone(icu::UnicodeString::fromUTF8(piece)));
  return TimeZone(std::move(rules));
}

model::Date TimeZone::date_of(model::Instant at) const {
  std::int32_t standard_ms = 0, summer_ms = 0;
  UErrorCode status = U_ZERO_ERROR;
  rules_->zone->getOffset(static_cast<UDate>(at.time_since_epoch().count()), false, standard_ms,
                          summer_ms, status);
  VECHE_ASSERT(U_SUCCESS(status), "a zone knows its offset at every time");
  const auto ahead = std::chrono::milliseconds(std::int64_t{standard_ms} + summer_ms);
  return model::date_of(at, std::chrono::floor<std::chrono::seconds>(ahead));
}

}  // namespace veche::wire
