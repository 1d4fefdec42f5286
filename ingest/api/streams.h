// Live streams of one HTTP thread: who reads which views, and what each is sent.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "ingest/api/app.h"
#include "ingest/api/live.h"
#include "ingest/http/handler.h"

namespace veche::api {

class Streams final : private LiveSink {
 public:
  explicit Streams(Local& local) : local_(local) {}

  void of_poll(const http::Request& request, std::string_view poll, http::Responder responder);
  void of_polls(const http::Request& request, http::Responder responder);
  void reader_gone(const http::Reader& reader);

 private:
  enum class Kind : std::uint8_t {
    whole,   // one poll, with a snapshot first
    totals,  // of several polls, side by side
  };
  // A reader's share in one view.
  struct Member {
    http::Reader reader;
    std::uint16_t first_slot;
    Kind kind;
    bool is_new = true;  // was sent nothing yet
  };
  struct Audience {
    boost::unordered_flat_map<std::uint64_t, Member> members;  // by the reader's key
    bool has_asked = false;                                    // for what the new ones need
  };
  using Audiences = std::map<LiveView, Audience>;

  void begin(const std::vector<LiveView>& views, Kind kind, http::Responder responder);
  void deliver(const LiveView& view, const LiveEvents& events, bool to_new) override;
  void hand_out(const LiveView& view, const LiveEvents& events, bool to_new);
  void drop_if_empty(Audiences::iterator audience);
  static bool is_narrow(const LiveView& view) { return view.filter.level || view.filter.parent; }
  static void offer(const Member& member, const LiveEvents& events);

  Local& local_;
  Audiences audiences_;
  // Which of them a reader is in.
  boost::unordered_flat_map<std::uint64_t, std::vector<Audiences::iterator>> readers_;
};

}  // namespace veche::api
