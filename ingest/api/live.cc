#include "ingest/api/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/model/limits.h"
#include "engine/model/thread_name.h"

namespace veche::api {
namespace {

constexpr std::chrono::milliseconds kNothingToDo = std::chrono::minutes(1);
constexpr std::size_t kEpochBytes = 8;  // of the boot id: two boots of a node never share them

void add(std::vector<LiveSink*>& sinks, LiveSink& sink) {
  if (std::find(sinks.begin(), sinks.end(), &sink) == sinks.end()) sinks.push_back(&sink);
}

}  // namespace

Live::Live(node::Node& node, Metrics& metrics, std::chrono::milliseconds tick,
           const model::BootId& boot)
    : node_(node),
      metrics_(metrics),
      tick_(tick),
      epoch_(fmt::format("{:02x}",
                         fmt::join(boot.bytes.begin(), boot.bytes.begin() + kEpochBytes, ""))),
      thread_([this] { run(); }) {}

Live::~Live() { stop(); }

bool Live::reserve(std::size_t views) {
  if (reserved_.fetch_add(views) + views <= limits::kLiveViews) return true;
  release(views);
  return false;
}

void Live::release(std::size_t views) { reserved_.fetch_sub(views); }

void Live::ask(const LiveView& view, LiveSink& sink) {
  mail_->push([this, view, &sink] { watch(view, sink); });
}

void Live::leave(const LiveView& view, LiveSink& sink) {
  mail_->push([this, view, &sink] { unwatch(view, sink); });
}

void Live::stop() {
  if (!thread_.joinable()) return;
  mail_->stop();
  thread_.join();
}

// --- The thread ----------------------------------------------------------------------------------

void Live::run() {
  model::name_thread("live");
  auto next_tick = Clock::now();
  for (bool stop = false; !stop;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_tick - Clock::now());
    const auto mail = mail_->take(polls_.empty() ? kNothingToDo : std::max(left, left.zero()));
    for (const auto& call : mail.calls) call();
    if (Clock::now() >= next_tick) {
      for (auto& [id, poll] : polls_) gather(id, poll);
      next_tick = Clock::now() + tick_;
    }
    stop = mail.stop;
  }
}

// Thousands come back at once after a restart: they share one gathering, and its bytes.
void Live::watch(const LiveView& view, LiveSink& sink) {
  auto& poll = polls_[view.poll];
  auto& watched = poll.views[view];
  add(watched.sinks, sink);
  add(watched.asking, sink);
  const bool is_fresh =
      Clock::now() - poll.gathered_at < std::min<Clock::duration>(tick_, limits::kLiveFreshness);
  if (watched.shown && is_fresh) return open(view, watched);
  gather(view.poll, poll);
}

void Live::unwatch(const LiveView& view, LiveSink& sink) {
  const auto poll = polls_.find(view.poll);
  if (poll == polls_.end()) return;
  const auto found = poll->second.views.find(view);
  if (found == poll->second.views.end()) return;
  auto& watched = found->second;
  std::erase(watched.sinks, &sink);
  std::erase(watched.asking, &sink);
  if (watched.sinks.empty()) poll->second.views.erase(found);
  if (poll->second.views.empty()) polls_.erase(poll);
}

// The mailbox may outlive this: a shard that comes back late speaks to nobody then.
void Live::gather(const model::PollId& id, Poll& poll) {
  if (std::exchange(poll.is_gathering, true)) return;
  const auto entry = node_.directory()->find(id);
  if (!publish::needs_tallies(*entry, publish::Viewer::anybody))
    return mail_->push([this, id, entry] { collected(id, {entry, {}, {}}); });
  node_.collect(id, [this, mail = mail_, id](node::Collected gathered) {
    mail->push([this, id, gathered = std::move(gathered)] { collected(id, gathered); });
  });
}

void Live::collected(const model::PollId& id, const node::Collected& collected) {
  const auto found = polls_.find(id);
  if (found == polls_.end()) return;  // its readers have gone
  const auto begin = Clock::now();
  found->second.is_gathering = false;
  found->second.gathered_at = begin;
  std::map<publish::Viewer, std::shared_ptr<Shown>> shown;
  for (auto& [view, watched] : found->second.views) {
    auto& to_viewer = shown[view.viewer];
    if (!to_viewer) to_viewer = show(collected, found->second, view.viewer);
    update(view, watched, to_viewer);
  }
  metrics_.live_encoded(Clock::now() - begin);
}

void Live::update(const LiveView& view, Watched& watched,
                  const std::shared_ptr<Shown>& shown) const {
  const auto before = std::exchange(watched.shown, shown);
  watched.opening = {};  // though nothing changed, it says of which moment it is
  if (before && !before->is_same(*shown)) {
    const auto events = changes(view, watched, *before);
    for (auto* const sink : watched.sinks) sink->deliver(view, events, false);
  }
  if (!watched.asking.empty()) open(view, watched);
}

LiveEvents Live::changes(const LiveView& view, Watched& watched, const Shown& before) const {
  auto& shown = *watched.shown;
  const bool appears = !before.snapshot != !shown.snapshot || before.until != shown.until;
  LiveEvents events;
  if (appears) {
    events = opening_of(view, watched);
  } else if (before.version != shown.version) {
    events.totals = totals_of(shown);
    if (view.filter.by_territory) events.territories = territories_of(shown, view.filter);
  }
  if (before.state != shown.state || before.is_final != shown.is_final)
    events.state = state_of(shown);
  return events;
}

void Live::open(const LiveView& view, Watched& watched) const {
  const auto& opening = opening_of(view, watched);
  for (auto* const sink : std::exchange(watched.asking, {})) sink->deliver(view, opening, true);
}

// --- Events --------------------------------------------------------------------------------------

const LiveEvents& Live::opening_of(const LiveView& view, Watched& watched) const {
  auto& opening = watched.opening;
  if (opening.hidden || opening.snapshot) return opening;
  if (watched.shown->snapshot) {
    opening.snapshot = snapshot_of(*watched.shown, view.filter);
    opening.totals = totals_of(*watched.shown);
  } else {
    opening.hidden = hidden_of(*watched.shown);
  }
  return opening;
}

std::shared_ptr<Live::Shown> Live::show(const node::Collected& collected, const Poll& poll,
                                        publish::Viewer viewer) {
  const bool by_territory =
      std::any_of(poll.views.begin(), poll.views.end(), [&](const auto& other) {
        return other.first.viewer == viewer && other.first.filter.by_territory;
      });
  auto shown = std::make_shared<Shown>();
  shown->poll = collected.poll->definition->id.str();
  shown->state = model::name(collected.poll->phase);
  auto published =
      publish::publish(collected, viewer,
                       by_territory ? publish::Detail::by_territory : publish::Detail::whole_poll);
  if (const auto* hidden = std::get_if<publish::Hidden>(&published)) {
    shown->until = hidden->until;
    return shown;
  }
  shown->snapshot =
      std::make_shared<const publish::Snapshot>(std::move(std::get<publish::Snapshot>(published)));
  shown->is_final = shown->snapshot->is_final;
  shown->version = shown->snapshot->version;
  return shown;
}

// Without a version there is no id: it counts what the poll hides.
http::Frame Live::frame(std::string_view event, std::string_view version,
                        std::string_view data) const {
  const auto id = version.empty() ? std::string() : fmt::format("id: {}-{}\n", epoch_, version);
  return std::make_shared<const std::string>(
      fmt::format("{}event: {}\ndata: {}\n\n", id, event, data));
}

http::Frame Live::totals_of(Shown& shown) const {
  if (!shown.totals)
    shown.totals = frame("totals", shown.version, wire::results_json(*shown.snapshot, {}));
  return shown.totals;
}

http::Frame Live::hidden_of(const Shown& shown) const {
  return frame("hidden", {},
               fmt::format(R"({{"poll":"{}","state":"{}","until":"{}"}})", shown.poll, shown.state,
                           shown.until));
}

http::Frame Live::state_of(const Shown& shown) const {
  return frame("state", shown.version,
               fmt::format(R"({{"poll":"{}","state":"{}","final":{}}})", shown.poll, shown.state,
                           shown.is_final));
}

http::Frame Live::territories_of(const Shown& shown, const wire::TerritoryFilter& filter) const {
  return frame("territories", shown.version, wire::territories_json(*shown.snapshot, filter));
}

http::Frame Live::snapshot_of(const Shown& shown, const wire::TerritoryFilter& filter) const {
  return frame("snapshot", shown.version, wire::results_json(*shown.snapshot, filter));
}

}  // namespace veche::api
