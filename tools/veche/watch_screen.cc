#include "tools/veche/watch_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <utility>

#include "engine/publish/snapshot.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostBarColumns = 40;
constexpr std::size_t kNumberColumns = 19;  // " 1234567  100.0 %  "

struct Words {
  std::string_view ballots, turnout, as_of, ago, final, lost, hidden, never, suppressed;
};

const Words& words(WatchLanguage language) {
  static constexpr Words kRussian{"бюллетеней",
                                  "явка",
                                  "на",
                                  "с назад",
                                  "итог",
                                  "связь потеряна, новая попытка",
                                  "скрыто",
                                  "не будет показано",
                                  "пока не показывается"};
  static constexpr Words kEnglish{"ballots", "turnout",     "as of",
                                  "s ago",   "final",       "connection lost, trying again",
                                  "hidden",  "never shown", "not shown yet"};
  return language == WatchLanguage::ru ? kRussian : kEnglish;
}

// States and reasons, which the server tells in English. What a newer server says stays as it is.
std::string translated(std::string_view text, WatchLanguage language) {
  static constexpr std::pair<std::string_view, std::string_view> kRussian[] = {
      {"scheduled", "ещё не началось"},
      {"open", "идёт"},
      {"closed", "завершено"},
      {"certified", "утверждено"},
      {"cancelled", "отменено"},
      {"the voter has voted", "избиратель не проголосует"},
      {"the poll is closed", "голосование не завершится"},
      {"the result is certified", "итог не утвердят"},
  };
  if (language == WatchLanguage::ru)
    for (const auto& [english, russian] : kRussian)
      if (text == english) return std::string(russian);
  return std::string(text);
}

std::string title_of(const json::value& titled, WatchLanguage language) {
  const auto& title = titled.at("title");
  if (title.is_string()) return std::string(title.get_string());
  const auto* english = title.as_object().if_contains("en");
  const auto& chosen = language == WatchLanguage::en && english ? *english : title.at("ru");
  return std::string(chosen.as_string());
}

std::optional<std::uint64_t> number_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || value->is_null()) return std::nullopt;
  return value->to_number<std::uint64_t>();
}

std::string shown(std::optional<std::uint64_t> number) {
  return number ? std::to_string(*number) : "?";
}

class WatchPainter {
 public:
  WatchPainter(const WatchState& state, WatchLanguage language, const ScreenStyle& style)
      : state_(state), language_(language), words_(words(language)), style_(style) {}

  std::vector<std::string> paint() {
    const auto name = std::string(state_.poll.at("id").as_string());
    add(kBold, fmt::format("{} ({})", title_of(state_.poll, language_), name));
    add({}, summary());
    if (!state_.is_connected) add(kBold, fmt::format("{}: {} s", words_.lost, state_.age.count()));
    if (!state_.hidden_until.empty())
      add({}, hidden());
    else if (!state_.results.empty())
      add_questions();
    lines_.resize(
        std::min(lines_.size(), style_.size.rows - std::min<std::size_t>(style_.size.rows, 1)));
    return std::move(lines_);
  }

 private:
  void add(std::string_view style, const std::string& text) {
    std::string cut(cut_columns(text, style_.size.columns));
    lines_.push_back(style.empty() ? cut : style_.styled(style, std::move(cut)));
  }

  std::string hidden() const {
    if (state_.hidden_until == publish::kNever) return std::string(words_.never);
    const auto until = translated(state_.hidden_until, language_);
    return language_ == WatchLanguage::ru ? fmt::format("{}, пока {}", words_.hidden, until)
                                          : fmt::format("{} until {}", words_.hidden, until);
  }

  std::string summary() const {
    auto line = translated(state_.state, language_);
    if (state_.is_final) line += fmt::format(", {}", words_.final);
    if (state_.results.empty()) return line;
    line += fmt::format("   {} {}", shown(number_in(state_.results, "ballots")), words_.ballots);
    line += fmt::format("   {} {}", words_.turnout, turnout());
    line +=
        fmt::format("   {} {}", words_.as_of, std::string(state_.results.at("as_of").as_string()));
    if (state_.is_connected) line += fmt::format(", {} {}", state_.age.count(), words_.ago);
    return line;
  }

  // With the share of those who may vote, where the poll says how many they are.
  std::string turnout() const {
    const auto voted = number_in(state_.results, "turnout");
    std::uint64_t expected = 0;
    if (const auto* voters = state_.poll.as_object().if_contains("expected_voters");
        voters && voters->is_object())
      for (const auto& [code, number] : voters->get_object())
        expected += number.to_number<std::uint64_t>();
    if (!voted || expected == 0) return shown(voted);
    return fmt::format("{} ({:.1f} %)", *voted,
                       100 * static_cast<double>(*voted) / static_cast<double>(expected));
  }

  void add_questions() {
    const auto* suppressed = state_.results.if_contains("suppressed");
    if (suppressed && suppressed->is_string())
      add({},
          fmt::format("{} ({})", words_.suppressed, std::string_view(suppressed->get_string())));
    const auto& counted = state_.results.at("questions").as_array();
    const auto& asked = state_.poll.at("questions").as_array();
    for (std::size_t q = 0; q < counted.size(); ++q) {
      add(kDim, title_of(asked.at(q), language_));
      add_options(asked.at(q).at("options").as_array(), counted.at(q).at("options").as_array());
    }
  }

  // Points decide where there are any; shares are of all points then, else of the ballots.
  void add_options(const json::array& titled, const json::array& counted) {
    std::vector<std::optional<std::uint64_t>> weights;
    std::uint64_t whole = number_in(state_.results, "ballots").value_or(0), sum = 0;
    bool has_points = false;
    for (const auto& option : counted) {
      has_points = option.as_object().contains("points");
      weights.push_back(number_in(option.as_object(), has_points ? "points" : "votes"));
      sum += weights.back().value_or(0);
    }
    if (has_points) whole = sum;
    for (std::size_t o = 0; o < titled.size(); ++o)
      lines_.push_back(option_line(title_of(titled.at(o), language_), weights.at(o), whole));
  }

  std::string option_line(const std::string& title, std::optional<std::uint64_t> weight,
                          std::uint64_t whole) const {
    const auto room = style_.size.columns - std::min(style_.size.columns, kNumberColumns);
    const auto bar_columns = std::min(kMostBarColumns, room / 2);
    const auto share =
        weight && whole > 0 ? static_cast<double>(*weight) / static_cast<double>(whole) : 0;
    const auto numbers = weight ? fmt::format(" {:>7}  {:>5.1f} %  ", *weight, share * 100)
                                : fmt::format(" {:>7}  {:>5}    ", "?", "");
    return padded("  " + title, room - bar_columns) +
           std::string(cut_columns(numbers, style_.size.columns)) +
           style_.styled(kBar, format_bar(share, bar_columns));
  }

  const WatchState& state_;
  const WatchLanguage language_;
  const Words& words_;
  const ScreenStyle& style_;
  std::vector<std::string> lines_;
};

}  // namespace

bool take_event(std::string_view name, const json::value& data, WatchState& state) {
  const bool has_counts = name == "snapshot" || name == "totals";
  if (!has_counts && name != "hidden" && name != "state") return false;
  const auto& object = data.as_object();
  state.state = object.at("state").as_string();
  if (name == "hidden") {
    state.hidden_until = object.at("until").as_string();
    state.results.clear();
    state.is_final = false;
    return true;
  }
  state.is_final = object.at("final").as_bool();
  if (!has_counts) return true;
  state.hidden_until.clear();
  state.results = object;
  return true;
}

std::vector<std::string> render(const WatchState& state, WatchLanguage language,
                                const ScreenStyle& style) {
  return WatchPainter(state, language, style).paint();
}

}  // namespace veche::tools
