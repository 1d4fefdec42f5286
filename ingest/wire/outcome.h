// The one table from outcomes to HTTP: status, code, and a text in two languages.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/model/outcome.h"

namespace veche::wire {

enum class Language : std::uint8_t { en, ru };

// The first of en and ru that an Accept-Language header names with a weight above 0; else en.
Language language(std::string_view accept_language);

struct OutcomeText {
  std::uint16_t status;
  std::string_view code;    // never translated, never changed
  std::string_view detail;  // for people
};

OutcomeText describe(model::Outcome outcome, Language language);

}  // namespace veche::wire
