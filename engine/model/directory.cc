#include "engine/model/directory.h"

namespace veche::model {

std::string_view name(PollPhase phase) {
  switch (phase) {
    case PollPhase::scheduled:
      return "scheduled";
    case PollPhase::open:
      return "open";
    case PollPhase::closed:
      return "closed";
    case PollPhase::cancelled:
      return "cancelled";
  }
  return "unknown";
}

const TreeVersion* Directory::tree_on(std::chrono::sys_days day) const {
  for (auto version = trees.rbegin(); version != trees.rend(); ++version)
    if (version->valid_from <= day) return &*version;
  return nullptr;
}

}  // namespace veche::model
