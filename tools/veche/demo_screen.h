// What `veche demo` shows: on a terminal a table that moves in place, elsewhere a line a second.
#pragma once

#include <boost/json/value.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "tools/veche/demo_region.h"
#include "tools/veche/demo_voters.h"
#include "tools/veche/terminal.h"

namespace veche::tools {

// What the screen tells: the server's own results, by place in DemoRegion::polls, and our books.
struct DemoState {
  std::string url;
  double seconds = 0;
  std::vector<boost::json::value> results;
};

// Lines that fit: none wider than the screen, and one fewer than it has rows.
std::vector<std::string> render(const DemoRegion& demo, const DemoBooks& books,
                                const DemoState& state, const ScreenStyle& style);
// The same in one line of any width.
std::string render_line(const DemoRegion& demo, const DemoBooks& books, const DemoState& state);

// For one thread.
class DemoScreen {
 public:
  explicit DemoScreen(std::FILE* out);

  bool is_live() const { return picture_.is_live(); }  // a terminal: show() may be called often
  void show(const DemoRegion& demo, const DemoBooks& books, const DemoState& state);

 private:
  std::FILE* const out_;
  Picture picture_;
};

}  // namespace veche::tools
