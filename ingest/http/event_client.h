// Reads server-sent events (the WHATWG HTML standard, 9.2), for Veche's own tools.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/result.h"
#include "ingest/http/client.h"

namespace veche::http {

struct ServerEvent {
  std::string name;  // "message" where the server gives none
  std::string id;    // the last that was given
  std::string data;
};

// Takes a stream in whatever pieces it comes.
class EventParser {
 public:
  using OnEvent = std::function<void(const ServerEvent& event)>;

  void feed(std::string_view bytes, const OnEvent& on_event);
  // The last that was told: how long to wait before coming back.
  std::optional<std::chrono::milliseconds> retry() const { return retry_; }

 private:
  void line(std::string_view line, const OnEvent& on_event);

  std::string rest_;  // of a line
  bool skips_line_feed_ = false;
  std::string name_, id_, data_;
  bool has_data_ = false;
  std::optional<std::chrono::milliseconds> retry_;
};

struct Followed {
  Answer answer;  // with its body, if it was not 200
  std::optional<std::chrono::milliseconds> retry;
};

// Reads the stream that answers the call until the server ends it, the connection is lost, nothing
// was heard for `silence`, or is_over() says so, which is asked many times a second, but never
// between events that came together. Blocks. A fault: there is no connection, or no answer. What a
// function throws ends it and is thrown again.
Result<Followed> follow_events(std::string_view url, const Call& call,
                               std::chrono::milliseconds silence,
                               const EventParser::OnEvent& on_event,
                               const std::function<bool()>& is_over);

}  // namespace veche::http
