#include "ingest/web/poll_list.h"

#include <algorithm>
#include <array>

#include "engine/model/limits.h"
#include "ingest/web/poll_page.h"

namespace veche::web {
namespace {

using model::PollEntry;
using model::PollPhase;

// As they are listed.
constexpr std::array kPhases{PollPhase::open, PollPhase::scheduled, PollPhase::closed,
                             PollPhase::certified, PollPhase::cancelled};
constexpr std::size_t kTargetsNamed = 3;

std::size_t rank(PollPhase phase) {
  return static_cast<std::size_t>(std::find(kPhases.begin(), kPhases.end(), phase) -
                                  kPhases.begin());
}

// What ends first, opens first, or ended last.
bool comes_before(const PollEntry* a, const PollEntry* b) {
  if (a->phase != b->phase) return rank(a->phase) < rank(b->phase);
  const auto &x = *a->definition, &y = *b->definition;
  if (a->phase == PollPhase::open && x.closes_at != y.closes_at) return x.closes_at < y.closes_at;
  if (a->phase == PollPhase::scheduled && x.opens_at != y.opens_at) return x.opens_at < y.opens_at;
  if (x.closes_at != y.closes_at) return x.closes_at > y.closes_at;
  return x.id < y.id;
}

bool concerns(const PollEntry& poll, const std::vector<model::TerritoryCode>& territories) {
  return std::any_of(territories.begin(), territories.end(),
                     [&](const auto& code) { return model::has_target_over(poll, code); });
}

std::vector<const PollEntry*> found_in(const model::Directory& directory,
                                       const TerritoryNames* names, const PollListView& view) {
  const auto wanted = folded(view.search);
  const auto territories =
      wanted.empty() || !names ? std::vector<model::TerritoryCode>() : names->find(wanted);
  std::vector<const PollEntry*> found;
  for (const auto& [id, poll] : directory.polls) {
    if (!poll->was_approved || (view.phase && poll->phase != *view.phase)) continue;
    const auto& title = poll->definition->title;
    if (wanted.empty() || folded(title.ru).find(wanted) != std::string::npos ||
        folded(title.en).find(wanted) != std::string::npos || concerns(*poll, territories))
      found.push_back(poll.get());
  }
  std::sort(found.begin(), found.end(), comes_before);
  return found;
}

std::string targets_of(const PollEntry& poll, Language language) {
  std::string names;
  const auto& places = poll.target_places;
  for (std::size_t i = 0; i < std::min(places.size(), kTargetsNamed); ++i)
    names.append(i == 0 ? "" : ", ").append((*poll.tree)[places[i]].name);
  if (places.size() > kTargetsNamed)
    names.append(" ").append(say(Text::and_more, language, places.size() - kTargetsNamed));
  return names.empty() ? std::string(say(Text::by_address, language)) : names;
}

std::string query_of(const PollListView& view, std::size_t page) {
  std::string query = fmt::format("/?page={}", page);
  if (view.phase) query.append("&state=").append(model::name(*view.phase));
  if (view.search.empty()) return query;
  query += "&q=";
  for (const char c : view.search) query += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return query;
}

void add_search(const PollListView& view, const Reader& reader, Html& html) {
  const auto language = reader.language;
  html.add(
      R"(<div class="tools">
<form class="search" role="search" method="get" action="/"><label for="find">)"_html,
      say(Text::search_polls, language),
      R"(</label><span><input type="search" id="find" name="q" maxlength="64" autocomplete="off" aria-describedby="find-hint" value=")"_html,
      view.search, R"("><button>)"_html, say(Text::find, language),
      R"(</button></span><small id="find-hint">)"_html, say(Text::search_polls_hint, language),
      "</small>"_html);
  if (view.phase)
    html.add(R"(<input type="hidden" name="state" value=")"_html, model::name(*view.phase),
             "\">"_html);
  if (reader.chose_language)
    html.add(R"(<input type="hidden" name="lang" value=")"_html, tag_of(language), "\">"_html);
  html.add("</form>\n"_html);
}

void add_states(const PollListView& view, const Reader& reader, Html& html) {
  const auto add = [&](std::optional<PollPhase> phase, std::string_view text) {
    auto other = view;
    other.phase = phase;
    html.add("<a href=\""_html, link(reader, query_of(other, 1)), "\""_html);
    if (view.phase == phase) html.add(" aria-current=\"true\""_html);
    html.add(">"_html, text, "</a> "_html);
  };
  html.add("<nav class=\"levels\" aria-label=\""_html, say(Text::states, reader.language),
           "\">"_html);
  add(std::nullopt, say(Text::any_state, reader.language));
  for (const auto phase : kPhases) add(phase, state_text(phase, reader.language));
  html.add("</nav>\n</div>\n"_html);
}

void add_poll(const PollEntry& poll, const Reader& reader, Html& html) {
  const auto& definition = *poll.definition;
  html.add("<li><h2><a href=\""_html, link(reader, fmt::format("/polls/{}", definition.id.view())),
           "\"><bdi>"_html, title(definition.title, reader.language),
           "</bdi></a></h2>\n<p class=\"state\">"_html, state_badge(poll.phase, reader.language),
           " "_html, state_time(poll, reader.language), "</p>\n<p class=\"where\"><bdi>"_html,
           targets_of(poll, reader.language), "</bdi></p></li>\n"_html);
}

void add_pages(const PollListView& view, std::size_t found, const Reader& reader, Html& html) {
  const auto pages = (found + limits::kPollsPerPage - 1) / limits::kPollsPerPage;
  if (pages < 2) return;
  html.add("<nav class=\"pages\" aria-label=\""_html, say(Text::pages, reader.language),
           "\">"_html);
  if (view.page > 1)
    html.add("<a rel=\"prev\" href=\""_html, link(reader, query_of(view, view.page - 1)),
             "\">"_html, say(Text::previous_page, reader.language), "</a> "_html);
  html.add("<span>"_html, fmt::format("{} / {}", view.page, pages), "</span>"_html);
  if (view.page < pages)
    html.add(" <a rel=\"next\" href=\""_html, link(reader, query_of(view, view.page + 1)),
             "\">"_html, say(Text::next_page, reader.language), "</a>"_html);
  html.add("</nav>\n"_html);
}

}  // namespace

TerritoryNames::TerritoryNames(std::shared_ptr<const model::TerritoryTree> tree)
    : tree_(std::move(tree)) {
  if (!tree_) return;
  for (const auto& node : tree_->nodes()) folded_.push_back(folded(node.name));
}

std::vector<model::TerritoryCode> TerritoryNames::find(const std::string& text) const {
  std::vector<model::TerritoryCode> found;
  for (std::size_t place = 0; place < folded_.size(); ++place) {
    if (folded_[place].find(text) == std::string::npos) continue;
    found.push_back((*tree_)[static_cast<model::TerritoryIndex>(place)].code);
    if (found.size() == limits::kSearchTerritories) break;
  }
  return found;
}

http::Response poll_list(const model::Directory& directory, const TerritoryNames* names,
                         const PollListView& view, const Reader& reader) {
  const auto language = reader.language;
  const auto found = found_in(directory, names, view);
  const auto first = (view.page - 1) * limits::kPollsPerPage;
  if (view.page > 1 && first >= found.size()) return error_page(404, reader);
  Page page{.title = std::string(say(Text::polls, language)), .main = {}};
  page.test_data = reader.test_data;
  page.main.add(R"(<main id="main" class="wrap" tabindex="-1">
<h1>)"_html,
                say(Text::polls, language), "</h1>\n"_html);
  add_search(view, reader, page.main);
  add_states(view, reader, page.main);
  if (found.empty())
    page.main.add(
        "<p class=\"found\" role=\"status\">"_html,
        say(view.search.empty() && !view.phase ? Text::no_polls_yet : Text::no_polls_found,
            language),
        "</p>\n"_html);
  else
    page.main.add("<p class=\"found\" role=\"status\">"_html,
                  counted(found.size(), Noun::poll, language), "</p>\n<ul class=\"polls\">\n"_html);
  const auto last = std::min(found.size(), first + limits::kPollsPerPage);
  for (auto i = first; i < last; ++i) add_poll(*found[i], reader, page.main);
  if (!found.empty()) page.main.add("</ul>\n"_html);
  add_pages(view, found.size(), reader, page.main);
  page.main.add("</main>\n"_html);
  return respond(200, reader, page);
}

}  // namespace veche::web
