// The one table from outcomes to HTTP: status, code, and a text in two languages.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/model/outcome.h"

namespace veche::wire {

enum class Language : std::uint8_t { en, ru };

// Which of en and ru an Accept-Language header gives the highest weight, the first of equals; en
// where it says nothing of either. One of weight 0 is taken only if the other is refused as well.
Language language(std::string_view accept_language);

struct OutcomeText {
  std::uint16_t status;
  std::string_view code;    // never translated, never changed
  std::string_view detail;  // for people
};

OutcomeText describe(model::Outcome outcome, Language language);

}  // namespace veche::wire
