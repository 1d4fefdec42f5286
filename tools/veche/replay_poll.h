// A Pabulib file as a poll of Veche: its definition, its ballots, and its official totals.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/poll.h"
#include "engine/model/result.h"
#include "tools/veche/pabulib.h"

namespace veche::tools {

// One question with the projects as options. Open from `now` for a year. Where 0 points make an
// official vote there are two, since no ballot gives 0 points: who is named, and the points.
Result<model::PollDefinition> definition_of(const PabulibFile& file, const model::PollId& id,
                                            const model::TerritoryCode& target, model::Instant now);

// Makes it disclose in steps of k voters; expected in each district are those of the file.
void disclose_in_steps(model::PollDefinition& poll, std::uint32_t k,
                       std::span<const model::TerritoryCode> homes);

// Whether both ask the same of the same: times and the version of the tree may differ.
bool is_same_poll(model::PollDefinition a, const model::PollDefinition& b);

// The definition in the server's answer for a poll.
Result<model::PollDefinition> read_definition(const boost::json::value& poll);

// The list of answers of a ballot as JSON.
std::vector<std::string> answers_of(const PabulibFile& file);
// An answer that the poll would take: as little as it asks for, of its first options.
std::string first_answers(const model::PollDefinition& poll);

}  // namespace veche::tools
