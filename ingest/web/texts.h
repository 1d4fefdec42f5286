// What the pages say, in both languages, in one table; numbers, shares and times as each language
// writes them. The script writes the same: what it needs is handed to it by script_texts.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/model/poll.h"
#include "ingest/web/html.h"
#include "ingest/wire/outcome.h"

namespace veche::web {

using wire::Language;

enum class Text : std::uint8_t {
  skip_to_content,
  site_motto,
  polls,
  all_polls,
  other_language,
  site_navigation,
  test_data,
  footer_once,
  footer_interface,

  state_scheduled,
  state_open,
  state_closed,
  state_certified,
  state_cancelled,
  states,
  any_state,
  search_polls,
  search_polls_hint,
  find,
  no_polls_found,
  no_polls_yet,
  previous_page,
  next_page,
  pages,
  and_more,
  by_address,

  opens_at,
  closes_at,
  closed_at,
  was_to_open_at,
  ballots_figure,
  of_expected,
  as_of,
  reload_for_newer,
  pause,
  live,
  paused,
  stalled,
  connecting,
  announcement,
  age_seconds,
  age_minutes,
  age_hours,

  not_open_yet,
  no_ballots_yet,
  hidden_until_voted,
  hidden_until_closed,
  hidden_until_certified,
  hidden_never_zero,
  still_counting,
  awaits_certification,
  certified_note,
  certificate,
  certificate_bytes,
  cancelled_note,
  cancelled_unopened_note,
  steps_note,
  not_yet_note,
  too_few_note,
  turnout_rounded,
  fewer_than,

  option,
  share,
  votes,
  points,
  voters,
  share_of_ballots,
  share_of_points,
  shares_exceed,
  kind_single,
  kind_approval,
  kind_approval_range,
  kind_ranked,
  kind_points,
  kind_points_range,
  most,

  turnout_over_time,
  turnout_chart_label,
  turnout_table,
  moment,

  by_territory,
  territory,
  ballots,
  turnout,
  not_below,
  search_territory,
  territories_found,
  no_territories_found,
  level,
  all_levels,
  too_many_territories,
  csv_of_view,
  csv_for_excel,
  scroll_hint,
  shown_in_group,
  not_yet_shown,
  not_shown,
  groups,
  groups_note,
  group_within,
  group_somewhere,
  group_not_below,
  below_this,
  up_the_tree,
  territory_hidden,
  document_json,
  version_of_results,

  not_found_title,
  not_found,
  unavailable_title,
  unavailable,
  faulty_request_title,
  faulty_request,

  load_title,
  load_note,
  load_needs_script,
  ballots_per_second,
  requests_per_second,
  connections,
  p99,
  readiness,
  ready,
  not_ready,
  outcomes,
  outcome,
  per_second,
  since_start,
  cpu_cores,
  last_minutes,
  load_table,
};

std::string_view say(Text text, Language language);

// With `{}` in the text for each argument.
template <class... Arguments>
std::string say(Text text, Language language, const Arguments&... arguments) {
  return fmt::format(fmt::runtime(say(text, language)), arguments...);
}

std::string_view tag_of(Language language);  // as in lang="..."

// 1 234 567, with the narrow space of Russian or the comma of English.
std::string number(std::uint64_t value, Language language);

// 42,3 % with one decimal, halves upwards; a dash where there is nothing to divide by.
std::string share(std::uint64_t part, std::uint64_t whole, Language language);
// The same for a length in SVG, "42.3%".
std::string share_length(std::uint64_t part, std::uint64_t whole);

enum class Noun : std::uint8_t { ballot, territory, poll };
// "21 бюллетень", "22 бюллетеня", "25 бюллетеней".
std::string counted(std::uint64_t count, Noun noun, Language language);

// <time>, in UTC; the script turns it into the reader's own time.
Html time_element(model::Instant at, Language language);
std::string time_text(model::Instant at, Language language);

std::string_view title(const model::Title& title, Language language);

// Lower case for Latin and Cyrillic, and ё as е: what a search compares. The script does the same.
std::string folded(std::string_view text);

// JSON for the script: words, plural forms, separators.
std::string script_texts(Language language);

}  // namespace veche::web
