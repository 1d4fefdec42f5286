// What became of a poll, as the control log tells it, in its order: who did what, when and why.
// Immutable, and shared between threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/poll.h"

namespace veche::model {

enum class Event : std::uint8_t {
  drafted,
  submitted,
  returned,
  approved,
  opened,
  closed,
  certified,
  cancelled,
  audited,  // somebody looked at exact counts
};
std::string_view name(Event event);

struct HistoryRow {
  Event event;
  Instant at;  // by the writer's clock
  std::string by;
  std::string reason;
  std::uint32_t version;  // of the definition
};

struct History {
  std::vector<HistoryRow> rows;
  std::uint64_t audits = 0;       // all; `rows` keeps the last kAuditsTold of them
  std::size_t draft_changes = 0;  // of the rows: drafted, submitted, returned

  void add(HistoryRow row);
  // Whether the pseudonym wrote or submitted any version of the draft.
  bool is_author(std::string_view pseudonym) const;
};

// Who it was, without the role, of a text "role pseudonym".
std::string_view pseudonym_of(std::string_view by);

}  // namespace veche::model
