// What can become of a ballot: everything that its voter may be told.
#pragma once

#include <cstdint>

namespace veche::model {

enum class Outcome : std::uint8_t {
  accepted,       // this request's own record is the counted one
  recorded,       // the same answers of this voter are counted already
  already_voted,  // other answers of this voter are counted
  unknown_poll,
  poll_not_open,
  poll_cancelled,
  poll_closed,  // and this voter is not counted
  level_too_low,
  not_eligible,  // not registered in a target
  invalid_answer,
  outcome_unknown,  // it may yet be counted: the same ballot again will tell
  overloaded,
  draining,
  starting,
};

}  // namespace veche::model
