// What `veche demo` shows: on a terminal a table that moves in place, elsewhere a line a second.
#pragma once

#include <boost/json/value.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "tools/veche/demo_region.h"
#include "tools/veche/demo_voters.h"

namespace veche::tools {

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

struct ScreenStyle {
  ScreenSize size;
  bool colours = false;
};

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

// For one thread. Colours unless NO_COLOR is set.
class DemoScreen {
 public:
  explicit DemoScreen(std::FILE* out);

  bool is_live() const { return live_; }  // a terminal: show() may be called often
  void show(const DemoRegion& demo, const DemoBooks& books, const DemoState& state);

 private:
  std::FILE* const out_;
  const bool live_;
  std::size_t drawn_ = 0;  // lines of the last picture, above the cursor
};

}  // namespace veche::tools
