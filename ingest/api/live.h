// What readers of streams are shown of each poll, and when: one for the process, with a thread of
// its own. At every tick it gathers each poll that has readers once, and what has changed is
// encoded once and handed to the HTTP threads, which only write it. A poll without readers costs
// nothing.
//
// Order of life: construct; any calls; stop; destruct. stop before the node is drained, and while
// the sinks still live.
#pragma once

#include <atomic>
#include <chrono>
#include <compare>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/node/mailbox.h"
#include "engine/node/node.h"
#include "engine/publish/snapshot.h"
#include "ingest/api/metrics.h"
#include "ingest/http/handler.h"
#include "ingest/wire/results.h"

namespace veche::api {

// Readers of equal views are sent the same bytes.
struct LiveView {
  model::PollId poll;
  publish::Viewer viewer = publish::Viewer::anybody;
  wire::TerritoryFilter filter;
  friend auto operator<=>(const LiveView&, const LiveView&) = default;
};

// Events of one view that belong together; null: not among them.
struct LiveEvents {
  http::Frame hidden;    // the counts may not be seen
  http::Frame snapshot;  // all of the view
  http::Frame totals;    // without territories
  http::Frame territories;
  http::Frame state;
};

// Where the events of a view go: an HTTP thread.
class LiveSink {
 public:
  virtual ~LiveSink() = default;
  // Called on the live thread; must only hand over. With `to_new`, the events are for the readers
  // who were sent nothing yet; else for the others.
  virtual void deliver(const LiveView& view, const LiveEvents& events, bool to_new) = 0;
};

class Live {
 public:
  // `boot` is in every event's id, so that versions of two lives are never taken for one.
  Live(node::Node& node, Metrics& metrics, std::chrono::milliseconds tick,
       const model::BootId& boot);
  ~Live();

  // Room for so many views of a thread that are narrowed by a filter; false: there is none. The
  // others are as many as polls. From any thread.
  bool reserve(std::size_t views);
  void release(std::size_t views);

  // The sink wants what the view's readers need to begin with, and from then on what changes.
  // From any thread.
  void ask(const LiveView& view, LiveSink& sink);
  void leave(const LiveView& view, LiveSink& sink);

  void stop();  // no sink is called any more when it returns

 private:
  using Clock = std::chrono::steady_clock;

  // What is published to one viewer of a poll, shared by the poll's views.
  struct Shown {
    std::shared_ptr<const publish::Snapshot> snapshot;  // null: hidden
    std::string until;
    std::string poll;
    std::string_view state;
    bool is_final = false;
    std::string version;  // empty: hidden
    http::Frame totals;   // made when a view needs it

    bool is_same(const Shown& other) const {
      return version == other.version && state == other.state && is_final == other.is_final &&
             until == other.until;
    }
  };
  struct Watched {
    std::vector<LiveSink*> sinks;
    std::vector<LiveSink*> asking;
    std::shared_ptr<Shown> shown;  // null: not gathered yet
    LiveEvents opening;            // of shown; made when somebody needs it
  };
  struct Poll {
    std::map<LiveView, Watched> views;
    bool is_gathering = false;
    Clock::time_point gathered_at;
  };

  void run();
  void watch(const LiveView& view, LiveSink& sink);
  void unwatch(const LiveView& view, LiveSink& sink);
  void gather(const model::PollId& id, Poll& poll);
  void collected(const model::PollId& id, const node::Collected& collected);
  void update(const LiveView& view, Watched& watched, const std::shared_ptr<Shown>& shown) const;
  LiveEvents changes(const LiveView& view, Watched& watched, const Shown& before) const;
  void open(const LiveView& view, Watched& watched) const;
  const LiveEvents& opening_of(const LiveView& view, Watched& watched) const;

  static std::shared_ptr<Shown> show(const node::Collected& collected, const Poll& poll,
                                     publish::Viewer viewer);
  http::Frame frame(std::string_view event, std::string_view version, std::string_view data) const;
  http::Frame totals_of(Shown& shown) const;
  http::Frame hidden_of(const Shown& shown) const;
  http::Frame state_of(const Shown& shown) const;
  http::Frame territories_of(const Shown& shown, const wire::TerritoryFilter& filter) const;
  http::Frame snapshot_of(const Shown& shown, const wire::TerritoryFilter& filter) const;

  node::Node& node_;
  Metrics& metrics_;
  const std::chrono::milliseconds tick_;
  const std::string epoch_;
  std::atomic<std::size_t> reserved_{0};
  std::shared_ptr<node::Mailbox> mail_ = std::make_shared<node::Mailbox>();

  std::map<model::PollId, Poll> polls_;  // those with readers; of the live thread
  std::thread thread_;
};

}  // namespace veche::api
