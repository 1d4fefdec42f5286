// The region's time zone. Clocks there say which day a poll opens on, and so which tree it gets.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/model/date.h"
#include "engine/model/poll.h"
#include "engine/model/result.h"

namespace veche::wire {

// Immutable, for all threads.
class TimeZone {
 public:
  // A name of the IANA database, such as Asia/Yekaterinburg, or UTC. ICU brings the rules.
  static Result<TimeZone> find(std::string_view name);

  model::Date date_of(model::Instant at) const;

 private:
  struct Rules;
  explicit TimeZone(std::shared_ptr<const Rules> rules) : rules_(std::move(rules)) {}

  std::shared_ptr<const Rules> rules_;
};

}  // namespace veche::wire
