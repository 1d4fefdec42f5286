// Writes HTML. Markup comes from literals of the program alone; every other text goes through one
// escaping function, so that a poll's title cannot become markup: the compiler sees to it.
//
//   html.add("<h1>"_html, poll.title, "</h1>"_html);
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace veche::web {

// Known when the program is compiled, so not made of anything that somebody sent.
class Markup {
 public:
  consteval Markup(const char* text, std::size_t size) : text_(text, size) {}
  constexpr std::string_view view() const { return text_; }

 private:
  std::string_view text_;
};
consteval Markup operator""_html(const char* text, std::size_t size) { return {text, size}; }

// For an element or a quoted attribute. Left out: control characters, and those that reorder the
// text around them, which would let a title rewrite the numbers beside it.
void append_escaped(std::string_view text, std::string& out);

class Html {
 public:
  // Markup stands as it is, any other text escaped.
  template <class... Pieces>
  Html& add(const Pieces&... pieces) {
    (put(pieces), ...);
    return *this;
  }

  std::string take() && { return std::move(text_); }

 private:
  void put(Markup markup) { text_ += markup.view(); }
  void put(std::string_view text) { append_escaped(text, text_); }
  // Of a whole page around its parts.
  void put(const Html& part) { text_ += part.text_; }

  std::string text_;
};

}  // namespace veche::web
