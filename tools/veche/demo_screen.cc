#include "tools/veche/demo_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <optional>

#include "tools/veche/output.h"
#include "tools/veche/shown.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::size_t kHeadLines = 2;
constexpr std::size_t kTopTerritories = 8;
constexpr std::size_t kMostBarColumns = 40;
constexpr std::size_t kNumberColumns = 19;  // "   1234  100.0 %  "

double milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::string summary(const DemoBooks& books, double seconds) {
  return fmt::format(
      "{:.0f} s  {} ballots: {} accepted, {} recorded, {} refused  p50 {:.1f} ms  "
      "p99 {:.1f} ms",
      seconds, books.sent(), books.accepted(), books.recorded(), books.refused(),
      milliseconds(books.latency(0.50)), milliseconds(books.latency(0.99)));
}

// Draws one poll within the lines that it has.
class PollPainter {
 public:
  PollPainter(const model::PollDefinition& poll, const json::value& results,
              const ScreenStyle& style)
      : poll_(poll), results_(results), style_(style) {}

  void paint(std::size_t lines, std::vector<std::string>& out) const {
    out.push_back(title());
    const auto options = std::min(lines - 2, poll_.questions.front().options.size());
    for (const auto option : best(options)) out.push_back(option_line(option));
    out.push_back(top_line());
  }

 private:
  std::string title() const {
    const auto ballots = "  " + told_ballots();
    const auto room = style_.size.columns - std::min(style_.size.columns, ballots.size());
    const auto named = fmt::format("{} / {} ({})", poll_.title.ru, poll_.title.en, poll_.id.view());
    return style_.styled(kBold, std::string(cut_columns(named, room))) +
           std::string(cut_columns(ballots, style_.size.columns));
  }

  // In steps more ballots may have come than are shown.
  std::string told_ballots() const {
    const auto ballots = shown_number(results_.at("ballots"));
    const auto turnout = shown_number(results_.at("turnout"));
    if (!ballots) return fmt::format("hidden: {}", why_hidden(results_));
    if (turnout <= ballots) return fmt::format("{} ballots", *ballots);
    return fmt::format("{} of {} ballots shown", *ballots, *turnout);
  }

  const json::value& count_of(std::size_t option) const {
    return results_.at("questions").at(0).at("options").at(option);
  }
  // What decides: points where there are any. Nothing: hidden.
  std::optional<std::uint64_t> weight_of(std::size_t option) const {
    const auto* points = count_of(option).as_object().if_contains("points");
    return shown_number(points ? *points : count_of(option).at("votes"));
  }

  std::vector<std::size_t> best(std::size_t count) const {
    std::vector<std::size_t> options(poll_.questions.front().options.size());
    for (std::size_t i = 0; i < options.size(); ++i) options[i] = i;
    std::stable_sort(options.begin(), options.end(),
                     [this](auto a, auto b) { return weight_of(a) > weight_of(b); });
    options.resize(count);
    return options;
  }

  // The ballots, or all points.
  std::uint64_t whole() const {
    if (!poll_.questions.front().counts_points())
      return shown_number(results_.at("ballots")).value_or(0);
    std::uint64_t points = 0;
    for (std::size_t i = 0; i < poll_.questions.front().options.size(); ++i)
      points += weight_of(i).value_or(0);
    return points;
  }

  std::string option_line(std::size_t option) const {
    const auto room = style_.size.columns - std::min(style_.size.columns, kNumberColumns);
    const auto bar_columns = std::min(kMostBarColumns, room / 2);
    const auto& title = poll_.questions.front().options[option].title.ru;
    const auto line = padded("  " + title, room - bar_columns);
    const auto weight = weight_of(option);
    if (!weight)
      return line + std::string(cut_columns(fmt::format(" {:>7}", "hidden"), style_.size.columns));
    const auto all = whole();
    const auto share = all == 0 ? 0 : static_cast<double>(*weight) / static_cast<double>(all);
    const auto numbers = fmt::format(" {:>7}  {:>5.1f} %  ", *weight, share * 100);
    return line + std::string(cut_columns(numbers, style_.size.columns)) +
           style_.styled(kBar, format_bar(share, bar_columns));
  }

  // The municipalities with the most ballots, those with others below left out; and how many are
  // shown, if not all are.
  std::string top_line() const {
    std::vector<std::pair<std::uint64_t, std::string_view>> places;
    const auto& territories = results_.at("territories").as_array();
    std::size_t told = 0;
    for (const auto& territory : territories) {
      if (shown_number(territory.at("ballots"))) ++told;
      if (const auto own = shown_number(territory.at("not_below")).value_or(0); own > 0)
        places.emplace_back(own, territory.at("name").as_string());
    }
    const auto most = std::min(places.size(), kTopTerritories);
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(most),
                      places.end(), std::greater<>());
    std::string line = "  ";
    if (told < territories.size())
      line += fmt::format("{} of {} territories shown{}", told, territories.size(),
                          most == 0 ? "" : ": ");
    for (std::size_t i = 0; i < most; ++i)
      fmt::format_to(std::back_inserter(line), "{}{} {}", i == 0 ? "" : ", ", places[i].second,
                     places[i].first);
    return style_.styled(kDim, std::string(cut_columns(line, style_.size.columns)));
  }

  const model::PollDefinition& poll_;
  const json::value& results_;
  const ScreenStyle& style_;
};

}  // namespace

std::vector<std::string> render(const DemoRegion& demo, const DemoBooks& books,
                                const DemoState& state, const ScreenStyle& style) {
  std::vector<std::string> lines;
  const auto head = fmt::format("Live results: {}/  Ctrl-C ends the demo", state.url);
  lines.emplace_back(cut_columns(head, style.size.columns));
  lines.emplace_back(cut_columns(summary(books, state.seconds), style.size.columns));
  const auto room = style.size.rows - std::min(style.size.rows, kHeadLines + 1);
  const auto each = std::max<std::size_t>(2, room / demo.polls.size());
  for (std::size_t i = 0; i < demo.polls.size(); ++i)
    PollPainter(demo.polls[i], state.results[i], style).paint(each, lines);
  lines.resize(std::min(lines.size(), kHeadLines + room));
  return lines;
}

std::string render_line(const DemoRegion& demo, const DemoBooks& books, const DemoState& state) {
  auto line = summary(books, state.seconds);
  for (std::size_t i = 0; i < demo.polls.size(); ++i) {
    const auto ballots = shown_number(state.results[i].at("ballots"));
    fmt::format_to(std::back_inserter(line), "  {} {}", demo.polls[i].id.view(),
                   ballots ? std::to_string(*ballots) : "hidden");
  }
  return line;
}

DemoScreen::DemoScreen(std::FILE* out) : out_(out), picture_(out) {}

void DemoScreen::show(const DemoRegion& demo, const DemoBooks& books, const DemoState& state) {
  if (picture_.is_live()) return picture_.draw(render(demo, books, state, picture_.style()));
  print(out_, "{}\n", render_line(demo, books, state));
  flush_output();
}

}  // namespace veche::tools
