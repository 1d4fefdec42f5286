// A poll's definition that has no fault is the same after it was written as JSON, and after it lay
// in the log.
#include <boost/json/serialize.hpp>

#include "engine/model/assert.h"
#include "engine/model/record.h"
#include "ingest/wire/poll_json.h"
#include "tests/fuzz/target.h"

namespace veche::fuzz {

void run(std::string_view input) {
  auto read = wire::read_poll(input);
  if (!read || !read->faults.empty()) return;
  auto& poll = read->definition;
  const auto again = wire::read_poll(boost::json::serialize(wire::write_definition(poll)));
  VECHE_ASSERT(again && again->faults.empty(), "what was written can be read");
  VECHE_ASSERT(again->definition == poll, "the same definition");
  poll.tree_version = 1;
  const auto logged = model::read_definition(model::to_message(poll));
  VECHE_ASSERT(logged, "the log takes what the API takes");
  VECHE_ASSERT(*logged == poll, "the same definition");
}

}  // namespace veche::fuzz
