// A poll's definition: what is asked, of whom, when, and who may see the result. Fixed once the
// poll is approved, immutable from then on, and shared between threads as
// std::shared_ptr<const PollDefinition>.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/model/ids.h"

namespace veche::model {

using Instant = std::chrono::sys_time<std::chrono::milliseconds>;

struct Title {
  std::string ru;
  std::string en;  // empty: as ru
  friend bool operator==(const Title&, const Title&) = default;
};

enum class QuestionKind : std::uint8_t {
  single = 1,    // one option
  approval = 2,  // min..max options, no order
  ranked = 3,    // min..max positions; position i brings points[i]
  points = 4,    // min..max points in all, spread over options
};

enum class Visibility : std::uint8_t {
  public_live = 1,
  after_vote = 2,  // to those who voted, by the front end
  after_close = 3,
  after_certification = 4,
};

enum class Disclosure : std::uint8_t {
  exact = 1,  // every ballot shows at once
  steps = 2,  // in batches of at least k voters who did not all choose the same: publish/steps.h
};

struct Option {
  std::string id;
  Title title;
  friend bool operator==(const Option&, const Option&) = default;
};

struct Question {
  std::string id;
  Title title;
  QuestionKind kind = QuestionKind::single;
  std::uint32_t min = 1;  // choices, positions or points, by kind
  std::uint32_t max = 1;
  std::vector<std::uint32_t> points;  // ranked only: one for each of `max` positions
  std::vector<Option> options;

  // Ranked and points questions count points beside votes.
  bool counts_points() const {
    return kind == QuestionKind::ranked || kind == QuestionKind::points;
  }
  friend bool operator==(const Question&, const Question&) = default;
};

// Who may vote: everybody registered in a territory or below it, or at an address code.
using Target = std::variant<TerritoryCode, AddressCode>;

struct PollDefinition {
  PollId id;
  Title title;
  Instant opens_at;
  Instant closes_at;
  std::uint8_t min_level = 3;
  std::vector<Target> targets;
  std::map<TerritoryCode, std::uint64_t> expected_voters;
  Visibility visibility = Visibility::public_live;
  Disclosure disclosure = Disclosure::exact;
  std::uint32_t least_voters = 0;  // of steps: k
  std::vector<Question> questions;
  std::uint32_t tree_version = 0;  // the version of the territory tree that targets speak of
  friend bool operator==(const PollDefinition&, const PollDefinition&) = default;
};

// One thing that is wrong with a document that somebody sent, for an answer with all of them.
struct DocumentFault {
  std::string pointer;  // JSON pointer into the document
  std::string code;     // closed vocabulary, never translated
  std::string detail;
};

// Everything that is wrong with a definition by the limits and by the kinds of its questions;
// empty: it may be approved. Territories are not looked up here.
std::vector<DocumentFault> check(const PollDefinition& poll);

std::string_view name(QuestionKind kind);
std::string_view name(Visibility visibility);
std::string_view name(Disclosure disclosure);
std::optional<QuestionKind> question_kind(std::string_view name);
std::optional<Visibility> visibility(std::string_view name);
std::optional<Disclosure> disclosure(std::string_view name);

}  // namespace veche::model
