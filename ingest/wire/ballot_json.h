// Ballots as JSON, read strictly: no unknown and no duplicate members, no NUL, nothing too deep.
// Whether ids and numbers fit the poll is admit's question.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "engine/model/ballot.h"
#include "engine/model/result.h"

namespace veche::wire {

// One line of a gateway's batch. Views are valid until the reader reads again.
struct BatchLine {
  std::optional<std::string_view> token;  // either a voter's own token, and then answers alone;
  std::string_view poll;                  // or the gateway's word for the rest
  std::string_view voter;
  std::string_view territory;
  std::vector<std::string_view> addresses;
  std::int64_t level = 0;
  model::NamedAnswers answers;
};

// One a thread: keeps its parser's memory.
class BallotReader {
 public:
  BallotReader();
  ~BallotReader();

  // {"answers": [{"question": "q1", "choices": ["a"] or {"a": 2}}]}
  // The result is valid until the next read.
  Result<const model::NamedAnswers*> read(std::string_view body);

  Result<const BatchLine*> read_line(std::string_view line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace veche::wire
