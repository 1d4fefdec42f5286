// `veche recount`: holds a recount of the whole log against the index, or against what a running
// server shows. For one thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/result.h"
#include "storage/index/checkpointed_index.h"
#include "storage/log_reader.h"
#include "tools/veche/counts.h"
#include "tools/veche/recount_log.h"

namespace veche::tools {

struct PollReport {
  PollRecount recount;  // the sum of all partitions
  Comparison comparison;
};

struct PartitionReport {
  model::Offset compared_at;  // the index's position, or the log's end
  model::Offset log_end;
  std::uint64_t tails_compared = 0;  // position and hash as nodes told them in the log
  std::uint64_t tails_different = 0;
  Comparison comparison = {};  // what belongs to no poll
};

struct RecountReport {
  std::map<model::PollId, PollReport> polls;
  std::vector<PartitionReport> partitions;  // of ballots

  std::uint64_t records() const;
  std::uint64_t ballots() const;
  std::uint64_t tails_compared() const;
  std::uint64_t tails_different() const;
  Comparison whole() const;
};

// Reads the log to its end, and compares each partition with the index where the index stands:
// position and rolling hash, counted voters, every number of every tally. A fault: the log or the
// index cannot be read.
Result<RecountReport> recount_index(const storage::LogReader& log,
                                    const storage::IndexStore& index);

// The results of one poll as a server shows them with by=territory.
struct LiveResults {
  model::PollId poll;
  boost::json::value results;
};

// Counts as many ballots of each poll in each partition as its results cover, and compares all
// their numbers. The reader must have been opened after the results were asked for.
Result<RecountReport> recount_results(const storage::LogReader& log,
                                      const std::vector<LiveResults>& live);

}  // namespace veche::tools
