#include "tools/veche/shown.h"

#include <utility>

namespace veche::tools {

namespace json = boost::json;

std::optional<std::uint64_t> shown_number(const json::value& count) {
  return count.is_null() ? std::nullopt : std::optional(count.to_number<std::uint64_t>());
}

std::string why_hidden(const json::value& counts) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"not-yet", "not enough ballots to show any yet"},
      {"in-group", "shown in a group with others"},
      {"too-few", "too few voters, or all of one mind"},
  };
  const auto* suppressed = counts.as_object().if_contains("suppressed");
  const auto* reason = suppressed ? suppressed->if_string() : nullptr;
  if (!reason) return {};
  for (const auto& [code, words] : kWords)
    if (*reason == code) return std::string(words);
  return std::string(*reason);
}

std::string number_or_why(const json::value& counts, std::string_view member) {
  const auto number = shown_number(counts.at(member));
  return number ? std::to_string(*number) : "hidden: " + why_hidden(counts);
}

}  // namespace veche::tools
