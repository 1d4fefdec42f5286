// A ballot's body, and a line of a gateway's batch.
#include "engine/model/assert.h"
#include "engine/model/csv.h"
#include "ingest/wire/ballot_json.h"
#include "tests/fuzz/target.h"

namespace veche::fuzz {
namespace {

void check(std::string_view text) {
  VECHE_ASSERT(model::is_utf8(text), "texts are UTF-8");
  VECHE_ASSERT(text.find('\0') == std::string_view::npos, "texts hold no NUL");
}

void check(const model::NamedAnswers& answers) {
  for (const auto& answer : answers) {
    check(answer.question);
    for (const auto& choice : answer.choices) check(choice.option);
  }
}

}  // namespace

void run(std::string_view input) {
  static wire::BallotReader reader;  // as a thread has one for all its requests
  if (const auto answers = reader.read(input)) check(**answers);
  const auto line = reader.read_line(input);
  if (!line) return;
  check((*line)->token.value_or(""));
  for (const auto text : {(*line)->poll, (*line)->voter, (*line)->territory}) check(text);
  for (const auto address : (*line)->addresses) check(address);
  check((*line)->answers);
}

}  // namespace veche::fuzz
