// What a person sees on a terminal; a pipe or a file gets none of it.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace veche::tools {

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

}  // namespace veche::tools
