#include "ingest/api/streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/model/limits.h"
#include "ingest/api/view.h"
#include "ingest/api/visible.h"
#include "ingest/http/problem.h"

namespace veche::api {
namespace {

// The slots of a view, in the order in which its events must be read.
enum Slot : std::uint16_t { kBegin, kTotals, kTerritories, kState, kSlotsPerView };
static_assert(kSlotsPerView * limits::kPollsPerStream <= http::kReaderSlots);

// The ids in "a,b,c"; none twice.
std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> ids;
  while (!list.empty()) {
    const auto id = list.substr(0, list.find(','));
    list.remove_prefix(std::min(id.size() + 1, list.size()));
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

// Streams are for everybody: a draft has none, whoever asks.
std::shared_ptr<const model::PollEntry> find_poll(Local& local, std::string_view poll) {
  const auto id = model::PollId::parse(poll);
  return id ? public_poll(local, *id) : nullptr;
}

void refuse(const http::Responder& responder, http::Response response) {
  responder.send(refusal_of_stream(std::move(response)));
}

}  // namespace

void Streams::of_poll(const http::Request& request, std::string_view poll,
                      http::Responder responder) {
  const auto entry = find_poll(local_, poll);
  if (!entry) return refuse(responder, unknown_poll());
  const auto filter = read_filter(request.head, *entry->tree);
  if (!filter) return responder.send(http::problem(400, "bad-parameter", filter.error()));
  if (request.head.query("view"))
    return responder.send(
        http::problem(400, "bad-parameter",
                      "a stream has no view: exact counts are those of results?view=exact"));
  const auto viewer = viewer_of(local_, *entry, request.head.authorization);
  if (!viewer) return refuse(responder, refusal(viewer.error()));
  begin({{entry->definition->id, *viewer, *filter}}, Kind::whole, responder);
}

void Streams::of_polls(const http::Request& request, http::Responder responder) {
  const auto ids = split(request.head.query("polls").value_or(""));
  if (ids.empty() || ids.size() > limits::kPollsPerStream)
    return responder.send(
        http::problem(400, "bad-parameter",
                      fmt::format("polls names 1 to {} polls, with commas between them",
                                  limits::kPollsPerStream)));
  std::vector<LiveView> views;
  for (const auto id : ids) {
    const auto entry = find_poll(local_, id);
    if (!entry) return refuse(responder, unknown_poll());
    const auto viewer = viewer_of(local_, *entry, request.head.authorization);
    if (!viewer) return refuse(responder, refusal(viewer.error()));
    views.push_back({entry->definition->id, *viewer, {}});
  }
  begin(views, Kind::totals, responder);
}

void Streams::begin(const std::vector<LiveView>& views, Kind kind, http::Responder responder) {
  const auto fresh =
      static_cast<std::size_t>(std::count_if(views.begin(), views.end(), [this](const auto& view) {
        return is_narrow(view) && !audiences_.contains(view);
      }));
  if (!local_.worker.has_room_for_reader() || !local_.app.live.reserve(fresh))
    return refuse(responder, refusal(model::Outcome::overloaded, wire::Language::en));
  const auto reader = responder.stream();
  if (!reader) return local_.app.live.release(fresh);
  auto& of_reader = readers_[reader->key()];
  std::uint16_t first_slot = 0;
  for (const auto& view : views) {
    const auto audience = audiences_.try_emplace(view).first;
    audience->second.members.emplace(reader->key(), Member{*reader, first_slot, kind});
    of_reader.push_back(audience);
    if (!std::exchange(audience->second.has_asked, true)) local_.app.live.ask(view, *this);
    first_slot += kSlotsPerView;
  }
}

void Streams::reader_gone(const http::Reader& reader) {
  const auto found = readers_.find(reader.key());
  for (const auto& audience : found->second) {
    audience->second.members.erase(reader.key());
    drop_if_empty(audience);
  }
  readers_.erase(found);
}

// Not while its opening is on its way: who comes next would take an old one for his own.
void Streams::drop_if_empty(Audiences::iterator audience) {
  if (!audience->second.members.empty() || audience->second.has_asked) return;
  local_.app.live.leave(audience->first, *this);
  if (is_narrow(audience->first)) local_.app.live.release(1);
  audiences_.erase(audience);
}

void Streams::deliver(const LiveView& view, const LiveEvents& events, bool to_new) {
  local_.worker.post([this, view, events, to_new] { hand_out(view, events, to_new); });
}

void Streams::hand_out(const LiveView& view, const LiveEvents& events, bool to_new) {
  const auto audience = audiences_.find(view);
  if (audience == audiences_.end()) return;  // all have gone meanwhile
  for (auto& [key, member] : audience->second.members) {
    if (member.is_new != to_new) continue;
    member.is_new = false;
    offer(member, events);
  }
  if (to_new) audience->second.has_asked = false;
  drop_if_empty(audience);
}

void Streams::offer(const Member& member, const LiveEvents& events) {
  const auto put = [&](Slot slot, const http::Frame& frame) {
    if (frame) member.reader.offer(static_cast<std::uint16_t>(member.first_slot + slot), frame);
  };
  put(kBegin, events.hidden);
  if (member.kind == Kind::whole && events.snapshot) {
    put(kBegin, events.snapshot);
  } else {
    put(kTotals, events.totals);
    if (member.kind == Kind::whole) put(kTerritories, events.territories);
  }
  put(kState, events.state);
}

}  // namespace veche::api
