#include "engine/node/peers.h"

#include <algorithm>

#include "engine/model/limits.h"
#include "engine/node/elapsed.h"

namespace veche::node {

void Peers::joined(const model::BootId& peer, const model::BootId& node, bool serving) {
  if (peers_.contains(peer)) return;  // its HELLO came twice, or it asks for tails
  boost::unordered::erase_if(peers_, [&](const auto& known) { return known.second.node == node; });
  peers_[peer] = {node, !serving, {}, {}};
}

void Peers::heard(const model::BootId& peer, std::chrono::milliseconds ahead, model::Instant now) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;  // of a node that has started again since
  owe_an_answer_ = false;
  found->second.before = found->second.last;
  found->second.last = Sample{ahead, now};
}

void Peers::forget_what_was_heard() {
  for (auto& [boot, peer] : peers_) {
    owe_an_answer_ |= peer.last.has_value();
    peer.last = peer.before = std::nullopt;
  }
}

bool Peers::clock_is_off(model::Instant now) const {
  std::size_t with_us = 1, against_us = 0;
  bool elders_differ = false;
  for (const auto& [boot, peer] : peers_) {
    const auto ahead = ahead_of(peer, now);
    if (!ahead) continue;
    const bool differs = *ahead > limits::kClockSkew || *ahead < -limits::kClockSkew;
    ++(differs ? against_us : with_us);
    elders_differ |= differs && peer.is_senior;
  }
  return against_us > with_us || (against_us == with_us && elders_differ);
}

std::optional<std::chrono::milliseconds> Peers::ahead_of(const Peer& peer, model::Instant now) {
  std::optional<std::chrono::milliseconds> ahead;
  for (const auto& sample : {peer.last, peer.before})
    if (sample && !elapsed(sample->heard, now, limits::kPeerMemory))
      ahead = std::min(ahead.value_or(sample->ahead), sample->ahead);
  return ahead;
}

}  // namespace veche::node
