// Poll definitions as JSON, both ways; both ways give the same document.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/model/date.h"
#include "engine/model/directory.h"
#include "engine/model/poll.h"
#include "engine/model/result.h"

namespace veche::wire {

struct ReadPoll {
  model::PollDefinition definition;  // tree_version is not read: the server chooses it
  std::optional<model::Date> opens_on;  // as local_date says it of opens_at
  std::vector<model::DocumentFault> faults;
};

// Fault: the body is no JSON document. Everything else that is wrong is among `faults`.
Result<ReadPoll> read_poll(std::string_view body);

// At most kJsonDepth deep, no duplicate names: for the other small documents of staff.
Result<boost::json::value> read_document(std::string_view body);

boost::json::object write_definition(const model::PollDefinition& poll);
// The definition with its state.
boost::json::object write_poll(const model::PollEntry& poll);
// Who did what with it, when and why, in the order of the log.
boost::json::object write_history(const model::PollEntry& poll);
boost::json::value write_title(const model::Title& title);

}  // namespace veche::wire
