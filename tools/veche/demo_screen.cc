#include "tools/veche/demo_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>

#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::size_t kHeadLines = 2;
constexpr std::size_t kTopTerritories = 8;
constexpr std::size_t kMostBarColumns = 40;
constexpr std::size_t kNumberColumns = 19;  // "   1234  100.0 %  "

std::uint64_t number_of(const json::value& value) { return value.to_number<std::uint64_t>(); }

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
    const auto ballots = fmt::format("  {} ballots", number_of(results_.at("ballots")));
    const auto room = style_.size.columns - std::min(style_.size.columns, ballots.size());
    const auto named = fmt::format("{} / {} ({})", poll_.title.ru, poll_.title.en, poll_.id.view());
    return style_.styled(kBold, std::string(cut_columns(named, room))) +
           std::string(cut_columns(ballots, style_.size.columns));
  }

  const json::value& count_of(std::size_t option) const {
    return results_.at("questions").at(0).at("options").at(option);
  }
  // What decides: points where there are any.
  std::uint64_t weight_of(std::size_t option) const {
    const auto* points = count_of(option).as_object().if_contains("points");
    return number_of(points ? *points : count_of(option).at("votes"));
  }

  std::vector<std::size_t> best(std::size_t count) const {
    std::vector<std::size_t> options(poll_.questions.front().options.size());
    for (std::size_t i = 0; i < options.size(); ++i) options[i] = i;
    std::stable_sort(options.begin(), options.end(),
                     [this](auto a, auto b) { return weight_of(a) > weight_of(b); });
    options.resize(count);
    return options;
  }

  // Share of the ballots, or of all points.
  double share_of(std::size_t option) const {
    std::uint64_t whole = number_of(results_.at("ballots"));
    if (poll_.questions.front().counts_points()) {
      whole = 0;
      for (std::size_t i = 0; i < poll_.questions.front().options.size(); ++i)
        whole += weight_of(i);
    }
    return whole == 0 ? 0 : static_cast<double>(weight_of(option)) / static_cast<double>(whole);
  }

  std::string option_line(std::size_t option) const {
    const auto room = style_.size.columns - std::min(style_.size.columns, kNumberColumns);
    const auto bar_columns = std::min(kMostBarColumns, room / 2);
    const auto share = share_of(option);
    const auto& title = poll_.questions.front().options[option].title.ru;
    const auto numbers = fmt::format(" {:>7}  {:>5.1f} %  ", weight_of(option), share * 100);
    return padded("  " + title, room - bar_columns) +
           std::string(cut_columns(numbers, style_.size.columns)) +
           style_.styled(kBar, format_bar(share, bar_columns));
  }

  // The municipalities with the most ballots, those with others below left out.
  std::string top_line() const {
    std::vector<std::pair<std::uint64_t, std::string_view>> places;
    for (const auto& territory : results_.at("territories").as_array())
      if (const auto own = number_of(territory.at("not_below")); own > 0)
        places.emplace_back(own, territory.at("name").as_string());
    const auto shown = std::min(places.size(), kTopTerritories);
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(shown),
                      places.end(), std::greater<>());
    std::string line = "  ";
    for (std::size_t i = 0; i < shown; ++i)
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
  const auto head = fmt::format("veche demo at {}, Ctrl-C ends it", state.url);
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
  for (std::size_t i = 0; i < demo.polls.size(); ++i)
    fmt::format_to(std::back_inserter(line), "  {} {}", demo.polls[i].id.view(),
                   number_of(state.results[i].at("ballots")));
  return line;
}

DemoScreen::DemoScreen(std::FILE* out) : out_(out), picture_(out) {}

void DemoScreen::show(const DemoRegion& demo, const DemoBooks& books, const DemoState& state) {
  if (picture_.is_live()) return picture_.draw(render(demo, books, state, picture_.style()));
  fmt::print(out_, "{}\n", render_line(demo, books, state));
  std::fflush(out_);
}

}  // namespace veche::tools
