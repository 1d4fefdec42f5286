#include "tools/veche/results_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <vector>

#include "tools/veche/shown.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kBarWidth = 24;
constexpr std::size_t kTitleBytes = 60;
constexpr std::size_t kToldMembers = 8;  // of a group, which may be half a region

std::string text_at(const json::value& object, std::string_view name) {
  const auto* text = object.at(name).if_string();
  return text ? std::string(*text) : std::string();
}

std::string title_of(const json::value& titled, TitleLanguage language) {
  const auto& title = titled.at("title");
  const auto* titles = title.if_object();
  const auto* english = titles ? titles->if_contains("en") : nullptr;
  const auto& chosen = english && language == TitleLanguage::en ? *english
                       : titles                                 ? titles->at("ru")
                                                                : title;
  return std::string(cut_utf8(std::string_view(chosen.as_string()), kTitleBytes));
}

// Of ballots that are shown, and of all, where more were cast than may be shown.
std::string ballots_of(const json::value& results) {
  const auto ballots = shown_number(results.at("ballots"));
  const auto turnout = shown_number(results.at("turnout"));
  auto text = ballots ? fmt::format("{} ballots", *ballots)
                      : fmt::format("counts hidden: {}", why_hidden(results));
  if (!turnout)
    text += ", turnout hidden";
  else if (turnout != ballots)
    text += fmt::format(", turnout {}", *turnout);
  return text;
}

std::string heading(std::string_view name, const json::value& results, const std::string& what) {
  return fmt::format("{}  {}, {} as of {}\n", name,
                     results.at("final").as_bool() ? "final" : text_at(results, "state"), what,
                     text_at(results, "as_of"));
}

std::vector<std::string> option_row(const json::value& option, std::optional<std::uint64_t> ballots,
                                    std::string title) {
  auto id = text_at(option, "id");
  const auto votes = shown_number(option.at("votes"));
  if (!votes || !ballots) return {std::move(id), "hidden", "", "", "", std::move(title)};
  const auto share =
      *ballots == 0 ? 0 : static_cast<double>(*votes) / static_cast<double>(*ballots);
  const auto* points = option.as_object().if_contains("points");
  return {std::move(id),
          std::to_string(*votes),
          fmt::format("{:.1f} %", share * 100),
          format_bar(share, kBarWidth),
          points ? std::to_string(points->to_number<std::uint64_t>()) : "",
          std::move(title)};
}

// Questions and options stand in the same order in both documents.
std::string questions_text(const json::value& poll, const json::value& results,
                           TitleLanguage language) {
  std::string text;
  const auto ballots = shown_number(results.at("ballots"));
  const auto& asked = poll.at("questions").as_array();
  const auto& counted = results.at("questions").as_array();
  for (std::size_t q = 0; q < counted.size(); ++q) {
    const auto& titled = asked.at(q).at("options").as_array();
    text += fmt::format("\n{}  {}\n", text_at(counted[q], "id"), title_of(asked.at(q), language));
    Rows rows{{"OPTION", "VOTES", "SHARE", "", "POINTS", "TITLE"}};
    const auto& options = counted[q].at("options").as_array();
    for (std::size_t o = 0; o < options.size(); ++o)
      rows.push_back(option_row(options[o], ballots, title_of(titled.at(o), language)));
    text += format_table(
        rows, {Align::left, Align::right, Align::right, Align::left, Align::right, Align::left});
  }
  return text;
}

std::string territories_text(const json::array& territories) {
  Rows rows{{"TERRITORY", "LEVEL", "BALLOTS", "NAME"}};
  for (const auto& territory : territories)
    rows.push_back({text_at(territory, "code"),
                    std::to_string(territory.at("level").to_number<unsigned>()),
                    number_or_why(territory, "ballots"), text_at(territory, "name")});
  return "\n" + format_table(rows, {Align::left, Align::right, Align::right, Align::left});
}

std::string members_of(const json::value& group) {
  std::vector<std::string> members;
  for (const auto& code : group.at("leaves").as_array()) members.emplace_back(code.as_string());
  for (const auto& code : group.at("not_below").as_array())
    members.push_back(std::string(code.as_string()) + "*");
  const auto told = std::min(members.size(), kToldMembers);
  auto text = fmt::format(
      "{}", fmt::join(members.begin(),
                      std::next(members.begin(), static_cast<std::ptrdiff_t>(told)), " "));
  if (told < members.size()) text += fmt::format(" and {} more", members.size() - told);
  return text;
}

std::string groups_text(const json::array& groups) {
  Rows rows{{"GROUP", "WITHIN", "BALLOTS", "MEMBERS"}};
  bool has_not_below = false;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto& group = groups[g];
    has_not_below = has_not_below || !group.at("not_below").as_array().empty();
    rows.push_back({std::to_string(g + 1), text_at(group, "within"),
                    number_or_why(group, "ballots"), members_of(group)});
  }
  auto text = "\n" + format_table(rows, {Align::right, Align::left, Align::right, Align::left});
  if (has_not_below) text += "* those registered there and in nothing below\n";
  return text;
}

const json::array* list_in(const json::value& results, std::string_view name) {
  const auto* list = results.as_object().if_contains(name);
  return list && list->is_array() && !list->get_array().empty() ? &list->get_array() : nullptr;
}

}  // namespace

std::string results_text(const json::value& poll, const json::value& results,
                         TitleLanguage language) {
  const auto name = fmt::format("{}  {}", text_at(poll, "id"), title_of(poll, language));
  auto text = heading(name, results, ballots_of(results));
  text += questions_text(poll, results, language);
  if (const auto* territories = list_in(results, "territories"))
    text += territories_text(*territories);
  if (const auto* groups = list_in(results, "groups")) text += groups_text(*groups);
  return text;
}

std::string turnout_text(const json::value& turnout) {
  const auto ballots = shown_number(turnout.at("turnout"));
  auto text = heading(text_at(turnout, "poll"), turnout,
                      ballots ? fmt::format("turnout {}", *ballots) : "turnout hidden");
  if (!ballots) return text;
  Rows rows{{"UNTIL", "BALLOTS", "IN THE STEP"}};
  std::uint64_t before = 0;
  for (const auto& point : turnout.at("series").as_array()) {
    const auto so_far = point.at("ballots").to_number<std::uint64_t>();
    rows.push_back(
        {text_at(point, "until"), std::to_string(so_far), fmt::format("+{}", so_far - before)});
    before = so_far;
  }
  return text + "\n" + format_table(rows, {Align::left, Align::right, Align::right});
}

}  // namespace veche::tools
