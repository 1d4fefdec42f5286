// What the texts of a definition must be besides model::check, which replay asks as well: these
// rules came later, are asked of new definitions alone, and leave the polls of a log as they are.
#pragma once

#include <vector>

#include "engine/model/poll.h"

namespace veche::wire {

// Ids of questions and options are in NFC, so that two which look the same are the same, and hold
// no character that nobody sees: no control (C0, C1), format, private or unassigned character, no
// line or paragraph separator. Titles hold no control. One fault a text.
std::vector<model::DocumentFault> check_texts(const model::PollDefinition& poll);

}  // namespace veche::wire
