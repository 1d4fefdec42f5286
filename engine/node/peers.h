// What the tails of other nodes tell of this node's clock. A tail bears its writer's clock; what
// lies between its writing and its being read here can only make it look older. So the smallest
// difference heard is the nearest to the truth, and a clock of ours that is behind is certain at
// once. Owned by one thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <optional>

#include "engine/model/ids.h"
#include "engine/model/poll.h"

namespace veche::node {

class Peers {
 public:
  // A node's HELLO was applied; `serving`: after our own. A node that starts again is no second
  // one.
  void joined(const model::BootId& peer, const model::BootId& node, bool serving);

  // A tail of `peer` was applied at `now`; `ahead` is our clock minus the writer's.
  void heard(const model::BootId& peer, std::chrono::milliseconds ahead, model::Instant now);

  // Our clock was set: what was heard before says nothing any more.
  void forget_what_was_heard();
  // There were others before our clock was set, whenever they spoke last, and nobody has since: it
  // may be the log that was silent, and not they.
  bool owe_an_answer() const { return owe_an_answer_; }

  // Whether our clock is more than kClockSkew from those of the others who spoke of late, and not
  // theirs from ours: the majority is right, and of two halves the one that was there first.
  bool clock_is_off(model::Instant now) const;

 private:
  struct Sample {
    std::chrono::milliseconds ahead;
    model::Instant heard;
  };
  struct Peer {
    model::BootId node;
    bool is_senior = true;  // was there when we came
    std::optional<Sample> last, before;
  };

  static std::optional<std::chrono::milliseconds> ahead_of(const Peer& peer, model::Instant now);

  boost::unordered_flat_map<model::BootId, Peer> peers_;
  bool owe_an_answer_ = false;
};

}  // namespace veche::node
