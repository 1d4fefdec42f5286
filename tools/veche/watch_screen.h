// What `veche watch` shows on a terminal.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/veche/terminal.h"

namespace veche::tools {

enum class WatchLanguage : std::uint8_t { ru, en };

// What the stream has told so far.
struct WatchState {
  boost::json::value poll;      // its definition, for the titles
  boost::json::object results;  // the last totals; empty: none were shown yet
  std::string hidden_until;     // as the server says it; empty: the counts are not hidden
  std::string state;
  bool is_final = false;
  bool is_connected = false;
  std::chrono::seconds age{};  // since the last event, or since the connection was lost
};

// Takes an event of the stream. False: it is of no kind that this program knows.
bool take_event(std::string_view name, const boost::json::value& data, WatchState& state);

// Lines that fit: none wider than the screen, and one fewer than it has rows.
std::vector<std::string> render(const WatchState& state, WatchLanguage language,
                                const ScreenStyle& style);

}  // namespace veche::tools
