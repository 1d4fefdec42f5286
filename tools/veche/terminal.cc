#include "tools/veche/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tools/veche/output.h"

namespace veche::tools {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(200);

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

std::size_t width_of(std::string_view text) {
  return text.size() - std::count_if(text.begin(), text.end(), continues_character);
}

}  // namespace

bool is_terminal(std::FILE* stream) {
  const auto* kind = std::getenv("TERM");
  return isatty(fileno(stream)) == 1 && !(kind && std::string_view(kind) == "dumb");
}

Progress::~Progress() {
  if (last_ != Clock::time_point{}) tell("\r\x1b[K");
}

bool Progress::is_due() const { return is_seen_ && Clock::now() - last_ >= kRedraw; }

void Progress::show(std::string_view line) {
  if (!is_due()) return;
  last_ = Clock::now();
  tell("\r{}\x1b[K", line);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<Align>& columns) {
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - width_of(row[i]), ' ');
      if (i > 0) text += "  ";
      text += columns[i] == Align::right ? blanks + row[i] : row[i] + blanks;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string format_bar(double share, std::size_t width) {
  constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<std::size_t>(std::lround(share * static_cast<double>(width * 8)));
  std::string bar;
  for (std::size_t i = 0; i < eighths / 8; ++i) bar += "█";
  return bar + kEighths[eighths % 8];
}

std::string_view cut_columns(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (; end < text.size(); ++end)
    if (!continues_character(text[end]) && columns-- == 0) break;
  return text.substr(0, end);
}

std::string padded(std::string_view text, std::size_t columns) {
  std::string cut(cut_columns(text, columns));
  return cut.append(columns - width_of(cut), ' ');
}

std::string ScreenStyle::styled(std::string_view style, std::string text) const {
  return colours ? fmt::format("{}{}\x1b[0m", style, text) : text;
}

ScreenStyle Picture::style() const {
  const auto* no_colour = std::getenv("NO_COLOR");
  ScreenStyle style{{}, !no_colour || *no_colour == '\0'};
  winsize size{};
  if (ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0)
    style.size = {size.ws_col, size.ws_row};
  return style;
}

void Picture::draw(const std::vector<std::string>& lines) {
  std::string picture;
  if (drawn_ > 0) picture = fmt::format("\x1b[{}A", drawn_);
  for (const auto& line : lines) picture += "\r" + line + "\x1b[K\n";
  picture += "\x1b[J";
  drawn_ = lines.size();
  write_text(out_, picture);
  flush_output();
}

std::string_view cut_utf8(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && continues_character(text[bytes])) --bytes;
  return text.substr(0, bytes);
}

}  // namespace veche::tools
