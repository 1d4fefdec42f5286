// apply of publications: what polls in steps show, version by version. Part of apply::Control, and
// pure as that is: whether a batch may come out was judged by the node that wrote it, from ballots
// that control does not see; an audit judges it again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/directory.h"
#include "engine/model/record.h"

namespace veche::apply {

class Publications {
 public:
  enum class Effect : std::uint8_t {
    noted,      // a part; more are to come
    published,  // `entry` shows it now
    is_void,    // another one came first, or the poll does not publish
    invalid,
  };
  // `partitions` is how many ballots partitions there are.
  Effect apply(const v1::Record& record, std::uint32_t partitions, model::PollEntry& entry);

 private:
  // Of one poll: the parts of its next publication that are there, all of one writer.
  struct Parts {
    std::string boot;
    std::uint64_t first_counter = 0;
    std::uint32_t count = 0;
    std::size_t bytes = 0;
    bool shows_more = false;  // some cell shows what it did not before
    std::shared_ptr<model::Publication> publication;
  };

  static bool add_cells(const v1::Publication& part, const model::PollEntry& entry, Parts& parts);
  static bool finish(const v1::Publication& last, std::uint32_t partitions,
                     const model::PollEntry& entry, Parts& parts);

  std::map<model::PollId, Parts> parts_;
};

}  // namespace veche::apply
