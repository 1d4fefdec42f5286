// One question as a table whose rows are bars: option, share, count.
#pragma once

#include "engine/publish/snapshot.h"
#include "ingest/web/html.h"
#include "ingest/web/texts.h"

namespace veche::web {

// The questions of a poll without a number in them: counts are not shown, or there are none.
Html questions_alone(const model::PollDefinition& poll, Language language);

// The questions with a row of counts, of the whole poll or of one territory. Options stand in the
// order of the ballot, by what they got once the result is certified: before that nothing in a page
// says who leads. `counts` is not empty.
Html questions_with_bars(const publish::Snapshot& snapshot, const publish::Row& counts,
                         Language language);

// What a bar shows of an option, and of what it is a share.
struct Measure {
  std::uint64_t part = 0;
  std::uint64_t whole = 0;
};
// Points by all points where a question counts them, else votes by ballots.
Measure measure(const publish::Snapshot& snapshot, const publish::Row& counts, std::size_t question,
                std::size_t option);

}  // namespace veche::web
