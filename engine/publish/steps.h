// Disclosure in steps: what comes out of a poll, and when, so that nothing ever published tells how
// fewer than k voters voted. Pure.
//
// A set of ballots may come out if it holds at least k voters and no option was chosen by all of
// them; by all it may have been, if there are 3k. Of each cell the ballots since the last cut are
// open; they are looked at whenever k more have come. A batch that may come out is first held, and
// shown when the next batch may come out. So at
// every moment each cell has shown whole batches alone, and whatever is published are sums of
// those: subtracting over time, over levels or between siblings gives batches again.
//
// At the end the open and held ballots of the cells come out in groups: cells join in the order of
// the tree until what they have left may come out together; what remains at the end joins the
// group before. A territory is shown if no group crosses its border.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/model/directory.h"
#include "engine/model/publication.h"
#include "engine/model/tally.h"
#include "engine/node/collected.h"
#include "engine/publish/snapshot.h"

namespace veche::publish {

bool may_come_out(std::span<const std::uint64_t> row, const model::TallyShape& shape,
                  const model::PollDefinition& poll);

// The publication that follows the entry's last one, given what is applied; nullptr: nothing new
// may be shown, or less is applied than the last one was made of, or the last one is final.
std::shared_ptr<const model::Publication> next_publication(const node::Collected& collected,
                                                           model::Instant now);

// What a publication shows of the poll, which was in `phase` then.
Snapshot snapshot_of(const std::shared_ptr<const model::PollEntry>& poll,
                     const model::Publication& publication, model::PollPhase phase);

}  // namespace veche::publish
