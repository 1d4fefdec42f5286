// Writes JSON from left to right straight into one string: nothing is built and walked through
// first, so a document of a million numbers costs little more than its bytes. That brackets match
// and members have names is the caller's promise.
//
//   json.open('{').key("poll").text(id).key("ballots").number(7).close('}');
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace veche::wire {

// Digits at the end of `out`.
inline void append_number(std::uint64_t number, std::string& out) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  out.append(digits, end);
}

class JsonWriter {
 public:
  JsonWriter& open(char bracket) {
    separate();
    out_ += bracket;
    needs_comma_ = false;
    return *this;
  }
  JsonWriter& close(char bracket) {
    out_ += bracket;
    needs_comma_ = true;
    return *this;
  }
  JsonWriter& key(std::string_view name) {
    text(name);
    out_ += ':';
    needs_comma_ = false;
    return *this;
  }

  JsonWriter& text(std::string_view text);
  JsonWriter& number(std::uint64_t number) {
    separate();
    append_number(number, out_);
    return *this;
  }
  JsonWriter& number(const std::optional<std::uint64_t>& known) {
    return known ? number(*known) : null();
  }
  JsonWriter& flag(bool flag) { return word(flag ? "true" : "false"); }
  JsonWriter& null() { return word("null"); }
  JsonWriter& value(std::string_view json) { return word(json); }  // that was written before
  // One that was written before in pieces, with values between them: all but the last piece are
  // beginnings.
  JsonWriter& beginning(std::string_view piece) {
    out_ += piece;
    needs_comma_ = false;
    return *this;
  }
  JsonWriter& ending(std::string_view piece) {
    out_ += piece;
    needs_comma_ = true;
    return *this;
  }

  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  // What was written since the last take; it may go on.
  std::string take() { return std::exchange(out_, {}); }

 private:
  void separate() {
    if (needs_comma_) out_ += ',';
    needs_comma_ = true;
  }
  JsonWriter& word(std::string_view word) {
    separate();
    out_ += word;
    return *this;
  }

  std::string out_;
  bool needs_comma_ = false;
};

}  // namespace veche::wire
