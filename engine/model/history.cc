#include "engine/model/history.h"

#include <algorithm>

#include "engine/model/limits.h"

namespace veche::model {
namespace {

bool is_of_draft(Event event) {
  return event == Event::drafted || event == Event::submitted || event == Event::returned;
}

}  // namespace

std::string_view name(Event event) {
  switch (event) {
    case Event::drafted:
      return "drafted";
    case Event::submitted:
      return "submitted";
    case Event::returned:
      return "returned";
    case Event::approved:
      return "approved";
    case Event::opened:
      return "opened";
    case Event::closed:
      return "closed";
    case Event::certified:
      return "certified";
    case Event::cancelled:
      return "cancelled";
    case Event::audited:
      return "audited";
  }
  return "unknown";
}

void History::add(HistoryRow row) {
  draft_changes += is_of_draft(row.event);
  if (row.event == Event::audited && ++audits > limits::kAuditsTold)
    rows.erase(std::find_if(rows.begin(), rows.end(),
                            [](const auto& old) { return old.event == Event::audited; }));
  rows.push_back(std::move(row));
}

bool History::is_author(std::string_view pseudonym) const {
  return std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
    return (row.event == Event::drafted || row.event == Event::submitted) &&
           pseudonym_of(row.by) == pseudonym;
  });
}

std::string_view pseudonym_of(std::string_view by) {
  const auto space = by.find(' ');
  return space == std::string_view::npos ? by : by.substr(space + 1);
}

}  // namespace veche::model
