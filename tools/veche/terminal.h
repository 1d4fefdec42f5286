// What a person sees on a terminal; a pipe or a file gets none of it.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace veche::tools {

// Whether it moves a cursor: a terminal that TERM does not call dumb.
bool is_terminal(std::FILE* stream);

// One line on stderr that is written over and over, a few times a second, and gone at the end.
// Nothing at all if stderr is no terminal.
class Progress {
 public:
  ~Progress();

  // Whether the next show() would be seen: saves composing the line.
  bool is_due() const;
  void show(std::string_view line);

 private:
  using Clock = std::chrono::steady_clock;

  const bool is_seen_ = is_terminal(stderr);
  Clock::time_point last_{};
};

enum class Align { left, right };

// Columns as wide as their widest cell, two blanks between them; the first row is the heading.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<Align>& columns);

// `share` of 0..1 as a bar of at most `width` characters.
std::string format_bar(double share, std::size_t width);

// The text, or as much of its beginning as fits into `bytes` without cutting a character of UTF-8.
std::string_view cut_utf8(std::string_view text, std::size_t bytes);

// At most so many characters of the text.
std::string_view cut_columns(std::string_view text, std::size_t columns);
// So many, with blanks behind it.
std::string padded(std::string_view text, std::size_t columns);

struct ScreenSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

inline constexpr std::string_view kBold = "\x1b[1m";
inline constexpr std::string_view kDim = "\x1b[2m";
inline constexpr std::string_view kBar = "\x1b[36m";

struct ScreenStyle {
  ScreenSize size;
  bool colours = false;

  std::string styled(std::string_view style, std::string text) const;
};

// Lines that are drawn over and over in one place of a terminal.
class Picture {
 public:
  explicit Picture(std::FILE* out) : out_(out), is_live_(is_terminal(out)) {}

  bool is_live() const { return is_live_; }  // else there is no place to draw it in
  ScreenStyle style() const;                 // colours unless NO_COLOR is set
  // None of them wider than the screen, and fewer than it has rows.
  void draw(const std::vector<std::string>& lines);

 private:
  std::FILE* const out_;
  const bool is_live_;
  std::size_t drawn_ = 0;  // lines of the last picture, above the cursor
};

}  // namespace veche::tools
