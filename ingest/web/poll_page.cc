#include "ingest/web/poll_page.h"

#include <algorithm>
#include <vector>

#include "engine/model/limits.h"
#include "ingest/web/question_bars.h"
#include "ingest/web/turnout_chart.h"
#include "ingest/wire/time.h"

namespace veche::web {
namespace {

using model::PollEntry;
using model::PollPhase;
using publish::Snapshot;
using publish::Suppressed;
using publish::TerritoryCounts;

const Snapshot* snapshot_of(const PollView& view) { return std::get_if<Snapshot>(&view.published); }

// Before it opens there is nothing to count, and a row of zeros would look like a count.
bool was_never_open(const PollEntry& poll) {
  return poll.phase == PollPhase::scheduled ||
         (poll.phase == PollPhase::cancelled && !poll.was_open);
}

std::string hexadecimal(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

// When it took its last ballot: at its time, or when somebody closed or cancelled it before.
model::Instant end_of(const PollEntry& poll) {
  auto end = poll.definition->closes_at;
  for (const auto& row : poll.history->rows)
    if (row.event == model::Event::closed || row.event == model::Event::cancelled)
      end = std::min(end, row.at);
  return end;
}

// From nothing on, and level through hours without ballots; of the hour that has not ended it is
// known how many came by now.
std::vector<TurnoutPoint> turnout_of(const Snapshot& snapshot) {
  std::vector<TurnoutPoint> points;
  for (const auto& [unix_hour, ballots] : snapshot.turnout_series) {
    const model::Instant begin{std::chrono::hours(unix_hour)};
    if (points.empty()) points.push_back({begin, 0});
    if (points.back().at < begin) points.push_back({begin, points.back().ballots});
    points.push_back({std::min(begin + std::chrono::hours(1), snapshot.as_of), ballots});
  }
  const bool goes_on = snapshot.phase == PollPhase::open && !points.empty();
  if (goes_on && points.back().at < snapshot.as_of)  // nobody has voted since
    points.push_back({snapshot.as_of, points.back().ballots});
  return points;
}

// Whoever reads it on has something to wait for. `snapshot` is nullptr while the counts are hidden.
bool may_change(const PollEntry& poll, const Snapshot* snapshot) {
  const bool is_final = snapshot && snapshot->is_final;
  if (poll.phase == PollPhase::certified) return !is_final;
  if (poll.phase != PollPhase::cancelled) return true;
  const bool will_be_shown =
      snapshot || poll.definition->visibility != model::Visibility::after_certification;
  return poll.was_open && will_be_shown && !is_final;
}

// What a turnout that is told as 0 is below, as publish/steps.cc has it; nothing: each is told.
std::optional<std::uint64_t> least_told(const model::PollDefinition& poll) {
  if (poll.disclosure != model::Disclosure::steps) return std::nullopt;
  return std::max(3 * std::uint64_t{poll.least_voters}, limits::kTurnoutStep);
}

const TerritoryCounts* find(const Snapshot& snapshot, const model::TerritoryCode& code) {
  const auto found = std::find_if(snapshot.territories.begin(), snapshot.territories.end(),
                                  [&](const auto& territory) { return territory.code == code; });
  return found == snapshot.territories.end() ? nullptr : &*found;
}

Text hidden_text(model::Visibility visibility) {
  switch (visibility) {
    case model::Visibility::after_vote:
      return Text::hidden_until_voted;
    case model::Visibility::after_close:
      return Text::hidden_until_closed;
    case model::Visibility::after_certification:
    case model::Visibility::public_live:
      break;
  }
  return Text::hidden_until_certified;
}

Text phase_text(PollPhase phase) {
  switch (phase) {
    case PollPhase::draft:
    case PollPhase::submitted:
    case PollPhase::scheduled:
      return Text::state_scheduled;
    case PollPhase::open:
      return Text::state_open;
    case PollPhase::closed:
      return Text::state_closed;
    case PollPhase::certified:
      return Text::state_certified;
    case PollPhase::cancelled:
      break;
  }
  return Text::state_cancelled;
}

// The same class names in the style sheet.
std::string_view badge_class(PollPhase phase) {
  return phase == PollPhase::draft || phase == PollPhase::submitted ? "scheduled"
                                                                    : model::name(phase);
}

// One page, of the whole poll or of one territory.
class PageWriter {
 public:
  PageWriter(const PollView& view, const Reader& reader)
      : view_(view),
        poll_(view.poll),
        definition_(*view.poll.definition),
        snapshot_(view_has_counts() ? snapshot_of(view) : nullptr),
        reader_(reader),
        language_(reader.language) {}

  http::Response whole_poll() {
    const auto* counts = snapshot_ && !snapshot_->counts.empty() ? &snapshot_->counts : nullptr;
    open_main(nullptr, counts);
    add_crumbs(false, nullptr);
    html_.add("<h1><bdi>"_html, poll_title(), "</bdi></h1>\n"_html);
    add_state();
    add_notices(nullptr);
    if (snapshot_)
      add_facts(snapshot_->turnout, expected_in_all(definition_),
                snapshot_->is_final ? std::nullopt : least_told(definition_));
    add_questions(counts);
    if (snapshot_)
      html_.add(turnout_chart(turnout_of(*snapshot_), snapshot_->as_of, least_told(definition_),
                              language_));
    if (counts) {
      html_.add(territory_section(*snapshot_, view_.territories, reader_));
      html_.add(group_section(*snapshot_, std::nullopt, language_));
    }
    add_documents();
    return finish(std::string(poll_title()));
  }

  http::Response territory(const model::TerritoryCode& code) {
    const auto place = poll_.tree->find(code);
    const auto* found = snapshot_ ? find(*snapshot_, code) : nullptr;
    if (snapshot_ ? !found : !place) return error_page(404, reader_);
    const auto name = place ? std::string_view((*poll_.tree)[*place].name) : code.view();
    const auto* counts = found && !found->counts.empty() ? &found->counts : nullptr;
    open_main(&code, counts);
    add_crumbs(true, place ? &*place : nullptr);
    html_.add("<h1><bdi>"_html, name, "</bdi></h1>\n"_html);
    add_state();
    add_notices(found);
    if (counts) {
      add_facts(counts->front(), expected_in(definition_, code), std::nullopt);
      add_not_below(*found);
    }
    add_questions(counts);
    if (snapshot_) {
      TerritoryView below;
      below.filter = {.by_territory = true, .level = std::nullopt, .parent = code};
      below.search = view_.territories.search;
      html_.add(territory_section(*snapshot_, below, reader_));
      html_.add(group_section(*snapshot_, code, language_));
    }
    return finish(fmt::format("{} — {}", name, poll_title()));
  }

 private:
  bool view_has_counts() const { return !was_never_open(view_.poll); }
  std::string_view poll_title() const { return title(definition_.title, language_); }

  // What the script needs to know; the state that the page shows among it, so that it sees when
  // another page is due.
  void open_main(const model::TerritoryCode* territory, const publish::Row* counts) {
    html_.add(R"(<main id="main" class="wrap poll" tabindex="-1" data-state=")"_html,
              model::name(poll_.phase), "\" data-final=\""_html,
              snapshot_ && snapshot_->is_final ? "true" : "false", "\" data-shown=\""_html,
              counts ? "true" : "false", "\""_html);
    if (territory) html_.add(" data-territory=\""_html, territory->view(), "\""_html);
    if (may_change(poll_, snapshot_)) {
      const auto stream = fmt::format("/v1/polls/{}/stream", definition_.id.view());
      const bool wide = snapshot_ && (territory || !is_cut(*snapshot_, view_.territories));
      html_.add(" data-stream=\""_html, stream, "\""_html);
      if (wide) html_.add(" data-wide=\""_html, stream + wide_query(territory), "\""_html);
    }
    html_.add(">\n"_html);
  }

  // The stream with the rows of the page: of a tree that fits into a page all of them, else those
  // beside the territory.
  std::string wide_query(const model::TerritoryCode* territory) const {
    std::string query = "?by=territory";
    if (view_.territories.filter.level)
      query += fmt::format("&level={}", *view_.territories.filter.level);
    const auto* row = territory ? find(*snapshot_, *territory) : nullptr;
    if (!row || !is_cut(*snapshot_, {})) return query;
    return row->parent ? query + fmt::format("&parent={}", row->parent->view())
                       : query + fmt::format("&level={}", row->level);
  }

  void add_crumb(std::string path, std::string_view text) {
    html_.add("<a href=\""_html, link(reader_, std::move(path)), "\"><bdi>"_html, text,
              "</bdi></a> "_html);
  }

  // The way up from a page of a territory goes through the poll and what lies above; `place` is
  // nullptr where the territory is not in the poll's tree.
  void add_crumbs(bool in_territory, const model::TerritoryIndex* place) {
    html_.add("<nav class=\"crumbs\" aria-label=\""_html, say(Text::up_the_tree, language_),
              "\">"_html);
    add_crumb("/", say(Text::all_polls, language_));
    const auto poll_path = fmt::format("/polls/{}", definition_.id.view());
    if (in_territory) add_crumb(poll_path, poll_title());
    auto path = place ? poll_.tree->path_to_root(*place) : std::vector<model::TerritoryIndex>();
    for (std::size_t above = path.size(); above-- > 1;) {
      const auto& node = (*poll_.tree)[path[above]];
      add_crumb(fmt::format("{}/territories/{}", poll_path, node.code.view()), node.name);
    }
    html_.add("</nav>\n"_html);
  }

  void add_state() {
    html_.add("<p class=\"state\">"_html, state_badge(poll_.phase, language_), " "_html,
              state_time(poll_, language_), "</p>\n"_html);
  }

  void add_notice(std::string_view kind, std::string_view text, std::string_view more = {}) {
    html_.add("<div class=\"notice "_html, kind, "\"><p>"_html, text, "</p>"_html);
    if (!more.empty()) html_.add("<p>"_html, more, "</p>"_html);
    html_.add("</div>\n"_html);
  }

  // In words what state the numbers are in, and why some are not there.
  void add_notices(const TerritoryCounts* territory) {
    if (poll_.phase == PollPhase::cancelled)
      return add_notice(
          "cancelled",
          say(poll_.was_open ? Text::cancelled_note : Text::cancelled_unopened_note, language_));
    if (poll_.phase == PollPhase::scheduled)
      return add_notice("scheduled", say(Text::not_open_yet, language_));
    if (!snapshot_)
      return add_notice("hidden", say(hidden_text(definition_.visibility), language_),
                        say(Text::hidden_never_zero, language_));
    if (poll_.takes_no_more() && !snapshot_->is_final)
      add_notice("closed", say(Text::still_counting, language_));
    else if (poll_.phase == PollPhase::closed)
      add_notice("closed", say(Text::awaits_certification, language_));
    else if (poll_.phase == PollPhase::certified)
      add_certificate();
    add_suppression(territory);
  }

  void add_certificate() {
    const auto path = fmt::format("/v1/polls/{}/certificate", definition_.id.view());
    html_.add("<div class=\"notice certified\"><p>"_html, say(Text::certified_note, language_),
              "</p><p><a href=\""_html, path, "\">"_html, say(Text::certificate, language_),
              "</a> <a href=\""_html, path, "/results.json\">"_html,
              say(Text::certificate_bytes, language_), "</a></p>"_html);
    if (poll_.certificate)
      html_.add("<p class=\"hash\">SHA-256 <code>"_html, hexadecimal(poll_.certificate->sha256),
                "</code></p>"_html);
    html_.add("</div>\n"_html);
  }

  void add_suppression(const TerritoryCounts* territory) {
    if (snapshot_->suppressed == Suppressed::too_few)
      return add_notice("few", say(Text::too_few_note, language_));
    const bool in_steps = definition_.disclosure == model::Disclosure::steps;
    if (in_steps && !snapshot_->is_final)
      add_notice("steps", say(Text::steps_note, language_, definition_.least_voters),
                 snapshot_->counts.empty() ? say(Text::not_yet_note, language_) : "");
    if (territory && territory->suppressed == Suppressed::in_group)
      add_notice("few", say(Text::territory_hidden, language_));
    if (snapshot_->counts.size() > 0 && snapshot_->counts[0] == 0)
      add_notice("empty", say(Text::no_ballots_yet, language_));
  }

  void add_facts(const std::optional<std::uint64_t>& ballots,
                 const std::optional<std::uint64_t>& expected,
                 const std::optional<std::uint64_t>& least) {
    html_.add("<div class=\"facts\">\n"_html);
    if (ballots) add_figure(*ballots, expected, least);
    html_.add("<div class=\"fresh\" data-as-of=\""_html, wire::format_time(snapshot_->as_of),
              "\"><p><span class=\"word\">"_html, say(Text::as_of, language_), "</span> "_html,
              time_element(snapshot_->as_of, language_), " <span class=\"age\"></span></p>\n"_html);
    if (may_change(poll_, snapshot_)) {
      html_.add("<p class=\"hint\"><noscript>"_html, say(Text::reload_for_newer, language_),
                "</noscript></p>\n<button type=\"button\" class=\"pause\" aria-pressed=\"false\" "
                "hidden>"_html,
                say(Text::pause, language_), "</button>\n"_html);
      html_.add("<p class=\"unseen\" id=\"news\" role=\"status\" aria-live=\"polite\"></p>\n"_html);
    }
    html_.add("</div>\n</div>\n"_html);
  }

  // With `least` the number is rounded, and 0 says only that it is below that.
  void add_figure(std::uint64_t ballots, const std::optional<std::uint64_t>& expected,
                  const std::optional<std::uint64_t>& least) {
    const bool is_told = ballots > 0 || !least;
    html_.add("<p class=\"figure\"><span>"_html, say(Text::ballots_figure, language_));
    if (least) html_.add(", "_html, say(Text::turnout_rounded, language_));
    html_.add("</span> <strong id=\"turnout-figure\""_html);
    if (least) html_.add(" data-least=\""_html, std::to_string(*least), "\""_html);
    html_.add(">"_html,
              is_told ? number(ballots, language_)
                      : say(Text::fewer_than, language_, number(*least, language_)),
              "</strong>"_html);
    if (expected) add_expected(is_told ? std::optional(ballots) : std::nullopt, *expected);
    html_.add("</p>\n"_html);
  }

  void add_expected(std::optional<std::uint64_t> ballots, std::uint64_t expected) {
    html_.add(" <span class=\"expected\" data-expected=\""_html, std::to_string(expected),
              "\">"_html);
    if (ballots)
      html_.add(say(Text::of_expected, language_, share(*ballots, expected, language_),
                    number(expected, language_)));
    html_.add("</span>"_html);
  }

  void add_not_below(const TerritoryCounts& territory) {
    const bool has_children =
        std::any_of(snapshot_->territories.begin(), snapshot_->territories.end(),
                    [&](const auto& other) { return other.parent == territory.code; });
    if (!has_children) return;
    const auto not_below = territory.not_below.value_or(0);
    html_.add("<p class=\"hint\" id=\"not-below\""_html);
    if (not_below == 0) html_.add(" hidden"_html);
    html_.add(">"_html);
    if (not_below > 0) html_.add(say(Text::not_below, language_, number(not_below, language_)));
    html_.add("</p>\n"_html);
  }

  void add_questions(const publish::Row* counts) {
    html_.add(counts ? questions_with_bars(*snapshot_, *counts, language_)
                     : questions_alone(definition_, language_));
  }

  void add_documents() {
    if (!snapshot_) return;
    const auto path = fmt::format("/v1/polls/{}/results", definition_.id.view());
    html_.add("<p class=\"more\"><a href=\""_html, path, ".json?by=territory\">"_html,
              say(Text::document_json, language_), "</a> <span>"_html,
              say(Text::version_of_results, language_), " <code id=\"version\">"_html,
              snapshot_->version, "</code></span></p>\n"_html);
  }

  http::Response finish(const std::string& of) {
    html_.add("</main>\n"_html);
    const auto id = definition_.id.view();
    const bool test = reader_.test_data || id == "demo" || id.starts_with("demo-");
    return respond(200, reader_,
                   {.title = fmt::format("{} — {}", of, state_text(poll_.phase, language_)),
                    .main = std::move(html_),
                    .test_data = test});
  }

  const PollView& view_;
  const PollEntry& poll_;
  const model::PollDefinition& definition_;
  const Snapshot* const snapshot_;  // nullptr: hidden, or nothing was counted
  const Reader& reader_;
  const Language language_;
  Html html_;
};

}  // namespace

http::Response poll_page(const PollView& view, const Reader& reader) {
  return PageWriter(view, reader).whole_poll();
}

http::Response territory_page(const PollView& view, const model::TerritoryCode& territory,
                              const Reader& reader) {
  return PageWriter(view, reader).territory(territory);
}

std::string_view state_text(PollPhase phase, Language language) {
  return say(phase_text(phase), language);
}

Html state_badge(PollPhase phase, Language language) {
  Html html;
  html.add("<span class=\"badge "_html, badge_class(phase), "\">"_html, state_text(phase, language),
           "</span>"_html);
  return html;
}

Html state_time(const PollEntry& poll, Language language) {
  const auto& definition = *poll.definition;
  const bool before = poll.phase == PollPhase::scheduled;
  const bool never = poll.phase == PollPhase::cancelled && !poll.was_open;
  const bool open = poll.phase == PollPhase::open;
  const auto text = before  ? Text::opens_at
                    : never ? Text::was_to_open_at
                    : open  ? Text::closes_at
                            : Text::closed_at;
  const auto at = before || never ? definition.opens_at
                  : open          ? definition.closes_at
                                  : end_of(poll);
  Html html;
  html.add("<span>"_html, say(text, language), " "_html, time_element(at, language),
           "</span>"_html);
  return html;
}

}  // namespace veche::web
