#include "ingest/web/territory_table.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <set>
#include <vector>

#include "engine/model/limits.h"
#include "ingest/web/question_bars.h"

namespace veche::web {
namespace {

using publish::GroupCounts;
using publish::Snapshot;
using publish::Suppressed;
using publish::TerritoryCounts;

using Rows = std::vector<const TerritoryCounts*>;

constexpr int kDeepestIndent = 5;  // as in style.css

std::string_view name_of(const TerritoryCounts& territory) {
  return territory.name.empty() ? territory.code.view() : territory.name;
}

std::string name_of(const Snapshot& snapshot, const model::TerritoryCode& code) {
  const auto place = snapshot.poll->tree->find(code);
  return place ? (*snapshot.poll->tree)[*place].name : code.str();
}

Text reason(Suppressed suppressed) {
  switch (suppressed) {
    case Suppressed::in_group:
      return Text::shown_in_group;
    case Suppressed::too_few:
      return Text::not_shown;
    case Suppressed::no:
    case Suppressed::not_yet:
      break;
  }
  return Text::not_yet_shown;
}

Rows rows_of(const Snapshot& snapshot, const wire::TerritoryFilter& filter) {
  Rows rows;
  for (const auto& territory : snapshot.territories)
    if ((!filter.level || territory.level == *filter.level) &&
        (!filter.parent || territory.parent == filter.parent))
      rows.push_back(&territory);
  return rows;
}

void keep_named(std::string_view search, Rows& rows) {
  const auto wanted = folded(search);
  if (wanted.empty()) return;
  std::erase_if(rows, [&](const auto* row) {
    return folded(name_of(*row)).find(wanted) == std::string::npos;
  });
}

// The upper levels as long as they fit, and never more than fit.
void cut(Rows& rows) {
  const auto too_many = [&] { return rows.size() > limits::kPageTerritories; };
  while (too_many()) {
    const auto [least, most] = std::minmax_element(
        rows.begin(), rows.end(), [](auto* a, auto* b) { return a->level < b->level; });
    if ((*least)->level == (*most)->level) break;
    std::erase_if(rows, [deepest = (*most)->level](auto* row) { return row->level == deepest; });
  }
  if (too_many()) rows.resize(limits::kPageTerritories);
}

class TableWriter {
 public:
  TableWriter(const Snapshot& snapshot, const Reader& reader)
      : snapshot_(snapshot),
        reader_(reader),
        language_(reader.language),
        poll_(*snapshot.poll->definition) {}

  void write(const Rows& rows, bool as_tree, Html& html) {
    has_turnout_ = std::any_of(rows.begin(), rows.end(), [&](const auto* row) {
      return expected_in(poll_, row->code).has_value();
    });
    html.add(R"(<div class="scroll" tabindex="0" role="region" aria-label=")"_html,
             say(Text::scroll_hint, language_), "\">\n<table class=\"places\">\n"_html);
    write_header(html);
    html.add("<tbody>\n"_html);
    boost::unordered_flat_map<model::TerritoryCode, int> depths;
    for (const auto* row : rows) {
      const auto parent = row->parent ? depths.find(*row->parent) : depths.end();
      const int depth = parent == depths.end() ? 0 : parent->second + 1;
      depths[row->code] = depth;
      write_row(*row, as_tree ? std::optional(std::min(depth, kDeepestIndent)) : std::nullopt,
                html);
    }
    html.add("</tbody>\n</table>\n</div>\n"_html);
  }

 private:
  // Few enough for a column each.
  bool has_option_columns() const {
    return poll_.questions.front().options.size() <= limits::kPageOptionColumns;
  }

  void write_header(Html& html) const {
    html.add("<thead><tr><th scope=\"col\">"_html, say(Text::territory, language_),
             "</th><th scope=\"col\" class=\"n\">"_html, say(Text::ballots, language_),
             "</th>"_html);
    if (has_turnout_)
      html.add("<th scope=\"col\" class=\"n\">"_html, say(Text::turnout, language_), "</th>"_html);
    if (has_option_columns())
      for (const auto& option : poll_.questions.front().options)
        html.add("<th scope=\"col\" class=\"n option\"><bdi>"_html, title(option.title, language_),
                 "</bdi></th>"_html);
    html.add("</tr></thead>\n"_html);
  }

  void write_row(const TerritoryCounts& row, std::optional<int> indent, Html& html) const {
    const auto path = fmt::format("/polls/{}/territories/{}", poll_.id.view(), row.code.view());
    html.add("<tr data-code=\""_html, row.code.view(), "\""_html);
    if (indent) html.add(" class=\"d"_html, std::to_string(*indent), "\""_html);
    html.add("><th scope=\"row\"><a href=\""_html, link(reader_, path), "\"><bdi>"_html,
             name_of(row), "</bdi></a></th>"_html);
    if (row.counts.empty())
      html.add("<td class=\"n b why\">"_html, say(reason(row.suppressed), language_), "</td>"_html);
    else
      html.add("<td class=\"n b\">"_html, number(row.counts[0], language_), "</td>"_html);
    write_turnout(row, html);
    if (has_option_columns()) write_shares(row, html);
    html.add("</tr>\n"_html);
  }

  void write_turnout(const TerritoryCounts& row, Html& html) const {
    if (!has_turnout_) return;
    const auto expected = expected_in(poll_, row.code);
    html.add("<td class=\"n t\""_html);
    if (expected) html.add(" data-expected=\""_html, std::to_string(*expected), "\""_html);
    const bool known = expected && !row.counts.empty();
    html.add(">"_html, share(known ? row.counts[0] : 0, known ? *expected : 0, language_),
             "</td>"_html);
  }

  void write_shares(const TerritoryCounts& row, Html& html) const {
    for (std::size_t o = 0; o < poll_.questions.front().options.size(); ++o) {
      const auto [part, whole] =
          row.counts.empty() ? Measure{} : measure(snapshot_, row.counts, 0, o);
      html.add("<td class=\"n o\">"_html, share(part, whole, language_), "</td>"_html);
    }
  }

  const Snapshot& snapshot_;
  const Reader& reader_;
  const Language language_;
  const model::PollDefinition& poll_;
  bool has_turnout_ = false;  // of one row at least it is known how many are expected
};

void write_search(const Rows& rows, std::size_t all, const TerritoryView& view,
                  const Reader& reader, Html& html) {
  const auto language = reader.language;
  html.add(R"(<form class="search")"_html);
  if (rows.size() < all) html.add(" data-cut"_html);  // the script knows the rows here alone
  html.add(
      R"( role="search" method="get" action=")"_html, reader.path, R"("><label for="find">)"_html,
      say(Text::search_territory, language),
      R"(</label><span><input type="search" id="find" name="q" maxlength="64" autocomplete="off" value=")"_html,
      view.search, R"("><button>)"_html, say(Text::find, language), "</button></span>"_html);
  if (reader.chose_language)
    html.add(R"(<input type="hidden" name="lang" value=")"_html, tag_of(language), "\">"_html);
  if (view.filter.level)
    html.add(R"(<input type="hidden" name="level" value=")"_html,
             std::to_string(*view.filter.level), "\">"_html);
  html.add("</form>\n<p class=\"found\" role=\"status\">"_html);
  if (rows.empty())
    html.add(say(Text::no_territories_found, language));
  else if (rows.size() < all)
    html.add(say(Text::territories_found, language, number(rows.size(), language),
                 number(all, language)));
  html.add("</p>\n"_html);
}

// Links to each level, where there are several to choose from.
void write_levels(const Snapshot& snapshot, const TerritoryView& view, const Reader& reader,
                  Html& html) {
  std::set<std::uint8_t> levels;
  for (const auto& territory : snapshot.territories) levels.insert(territory.level);
  if (view.filter.parent || levels.size() < 2) return;
  const auto language = reader.language;
  html.add("<nav class=\"levels\" aria-label=\""_html, say(Text::level, language), "\"><span>"_html,
           say(Text::level, language), "</span> "_html);
  const auto add = [&](const std::string& path, std::string_view text, bool current) {
    html.add("<a href=\""_html, link(reader, path), "#places\""_html);
    if (current) html.add(" aria-current=\"true\""_html);
    html.add(">"_html, text, "</a> "_html);
  };
  add(reader.path, say(Text::all_levels, language), !view.filter.level);
  for (const auto level : levels)
    add(fmt::format("{}?level={}", reader.path, level), std::to_string(level),
        view.filter.level == level);
  html.add("</nav>\n"_html);
}

void write_csv_link(const Snapshot& snapshot, const TerritoryView& view, Language language,
                    Html& html) {
  auto path =
      fmt::format("/v1/polls/{}/results.csv?by=territory", snapshot.poll->definition->id.view());
  if (view.filter.level) path += fmt::format("&level={}", *view.filter.level);
  if (view.filter.parent) path += fmt::format("&parent={}", view.filter.parent->view());
  path += fmt::format("&lang={}", tag_of(language));
  html.add("<p class=\"more\"><a href=\""_html, path, "\" download>"_html,
           say(Text::csv_of_view, language), "</a> <a href=\""_html, path,
           "&amp;excel=1\" download>"_html, say(Text::csv_for_excel, language), "</a></p>\n"_html);
}

std::string members_of(const Snapshot& snapshot, const GroupCounts& group, Language language) {
  std::string members;
  const auto add = [&](const std::string& name) {
    members.append(members.empty() ? "" : ", ").append(name);
  };
  for (const auto& code : group.leaves) add(name_of(snapshot, code));
  for (const auto& code : group.not_below)
    add(say(Text::group_not_below, language, name_of(snapshot, code)));
  return members;
}

// Without numbers, too: the script puts them in when they come out.
void write_group_options(const Snapshot& snapshot, const GroupCounts& group, Language language,
                         Html& html) {
  const auto& options = snapshot.poll->definition->questions.front().options;
  if (options.size() > limits::kPageOptionColumns) return;
  const bool is_shown = !group.counts.empty();
  html.add("<span class=\"each\""_html);
  if (!is_shown) html.add(" hidden"_html);
  html.add(">"_html);
  for (std::size_t o = 0; o < options.size(); ++o)
    html.add(
        o == 0 ? "; " : ", ", "<bdi>"_html, title(options[o].title, language),
        "</bdi> <span class=\"o\">"_html,
        is_shown ? number(measure(snapshot, group.counts, 0, o).part, language) : std::string(),
        "</span>"_html);
  html.add("</span>"_html);
}

// `place` is the group's among all: the script finds it by that.
void write_group(const Snapshot& snapshot, std::size_t place, Language language, Html& html) {
  const auto& group = snapshot.groups[place];
  html.add("<li data-group=\""_html, std::to_string(place), "\"><p><strong>"_html,
           group.within ? say(Text::group_within, language,
                              group.within_name.empty() ? group.within->view() : group.within_name)
                        : std::string(say(Text::group_somewhere, language)),
           "</strong> "_html, members_of(snapshot, group, language), "</p>\n<p>"_html);
  const bool is_shown = !group.counts.empty();
  html.add("<span class=\"b\">"_html,
           is_shown ? counted(group.counts[0], Noun::ballot, language)
                    : std::string(say(reason(group.suppressed), language)),
           "</span>"_html);
  write_group_options(snapshot, group, language, html);
  html.add("</p></li>\n"_html);
}

bool lies_within(const Snapshot& snapshot, const GroupCounts& group,
                 const std::optional<model::TerritoryCode>& within) {
  return !within || (group.within && snapshot.poll->tree->is_within(*group.within, *within));
}

}  // namespace

Html territory_section(const Snapshot& snapshot, const TerritoryView& view, const Reader& reader) {
  Html html;
  const auto all = rows_of(snapshot, view.filter);
  if (all.empty()) return html;
  auto rows = all;
  keep_named(view.search, rows);
  const bool some_left_out = rows.size() > limits::kPageTerritories;
  cut(rows);
  const auto language = reader.language;
  html.add(R"(<section class="territories" aria-labelledby="places">
<h2 id="places">)"_html,
           say(view.filter.parent ? Text::below_this : Text::by_territory, language),
           "</h2>\n<div class=\"tools\">\n"_html);
  write_search(rows, all.size(), view, reader, html);
  write_levels(snapshot, view, reader, html);
  html.add("</div>\n"_html);
  if (some_left_out)
    html.add("<p class=\"hint\">"_html, say(Text::too_many_territories, language), "</p>\n"_html);
  const bool as_tree = !view.filter.level && !view.filter.parent && view.search.empty();
  if (!rows.empty()) TableWriter(snapshot, reader).write(rows, as_tree, html);
  write_csv_link(snapshot, view, language, html);
  html.add("</section>\n"_html);
  return html;
}

Html group_section(const Snapshot& snapshot, const std::optional<model::TerritoryCode>& within,
                   Language language) {
  Html html, list;
  bool any = false;
  for (std::size_t place = 0; place < snapshot.groups.size(); ++place) {
    if (!lies_within(snapshot, snapshot.groups[place], within)) continue;
    write_group(snapshot, place, language, list);
    any = true;
  }
  if (!any) return html;
  html.add(R"(<section class="groups" aria-labelledby="groups">
<h2 id="groups">)"_html,
           say(Text::groups, language), "</h2>\n<p class=\"hint\">"_html,
           say(Text::groups_note, language), "</p>\n<ul>\n"_html, list, "</ul>\n</section>\n"_html);
  return html;
}

bool is_cut(const Snapshot& snapshot, const TerritoryView& view) {
  return rows_of(snapshot, view.filter).size() > limits::kPageTerritories;
}

std::optional<std::uint64_t> expected_in(const model::PollDefinition& poll,
                                         const model::TerritoryCode& territory) {
  const auto found = poll.expected_voters.find(territory);
  return found == poll.expected_voters.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::uint64_t> expected_in_all(const model::PollDefinition& poll) {
  std::uint64_t sum = 0;
  for (const auto& target : poll.targets) {
    const auto* code = std::get_if<model::TerritoryCode>(&target);
    const auto expected = code ? expected_in(poll, *code) : std::nullopt;
    if (!expected) return std::nullopt;
    sum += *expected;
  }
  return sum;
}

}  // namespace veche::web
