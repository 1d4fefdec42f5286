// What a voter answers, and whether it fits the questions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/poll.h"

namespace veche::model {

// One chosen option, by its place in the question. `points` is used by points questions alone.
struct Choice {
  std::uint16_t option = 0;
  std::uint32_t points = 0;
  friend bool operator==(const Choice&, const Choice&) = default;
};

// The choices of one question, by its place in the definition.
struct Answer {
  std::uint16_t question = 0;
  std::vector<Choice> choices;
  friend bool operator==(const Answer&, const Answer&) = default;
};

// Answers in canonical order: questions ascending, and options ascending except in ranked ones.
using Answers = std::vector<Answer>;

// The answers as the voter sent them: ids are not looked up yet. `points` is set where the voter
// wrote {"option": points} and not a list. Views point into the request.
struct NamedChoice {
  std::string_view option;
  std::int64_t points = 0;
};
struct NamedAnswer {
  std::string_view question;
  bool with_points = false;
  std::vector<NamedChoice> choices;
};
using NamedAnswers = std::vector<NamedAnswer>;

// Looks the ids up and brings the answers into canonical order. Every fault is added to `faults`,
// with a pointer into the ballot's document; answers are complete only if none was added.
Answers resolve(const PollDefinition& poll, const NamedAnswers& named,
                std::vector<DocumentFault>& faults);

// Whether canonical answers fit the questions, as resolve leaves them: the rule of counting
// version 1, used by apply for records that any program may have written.
bool fits(const PollDefinition& poll, const Answers& answers);

// The canonical bytes (the `Answers` message of record.proto): hashed into the digest, kept in the
// record.
std::string serialize(const Answers& answers);

}  // namespace veche::model
