#include "ingest/wire/outcome.h"

#include <algorithm>
#include <array>

#include "engine/model/assert.h"
#include "ingest/wire/header_list.h"

namespace veche::wire {
namespace {

using model::Outcome;

struct Row {
  Outcome outcome;
  std::uint16_t status;
  std::string_view code;
  std::string_view en;
  std::string_view ru;
};

constexpr std::array kRows{
    Row{Outcome::accepted, 201, "accepted", "The ballot is counted.", "Бюллетень учтён."},
    Row{Outcome::recorded, 200, "recorded", "The same ballot was counted before.",
        "Этот бюллетень уже учтён."},
    Row{Outcome::already_voted, 409, "already-voted",
        "Another ballot of this voter is counted; the first one holds.",
        "Учтён другой бюллетень этого участника; действует первый."},
    Row{Outcome::unknown_poll, 404, "unknown-poll", "There is no such poll.",
        "Такого голосования нет."},
    Row{Outcome::poll_not_open, 409, "poll-not-open", "The poll is not open yet.",
        "Голосование ещё не открыто."},
    Row{Outcome::poll_cancelled, 409, "poll-cancelled", "The poll is cancelled.",
        "Голосование отменено."},
    Row{Outcome::poll_closed, 410, "poll-closed",
        "The poll is closed, and no ballot of this voter is counted.",
        "Голосование завершено, бюллетень этого участника не учтён."},
    Row{Outcome::level_too_low, 403, "level-too-low",
        "The voter's account is of a lower level than the poll asks for.",
        "Уровень учётной записи ниже, чем требует голосование."},
    Row{Outcome::not_eligible, 403, "not-eligible",
        "The voter is not registered where the poll is held.",
        "Участник не зарегистрирован на территории голосования."},
    Row{Outcome::invalid_answer, 422, "invalid-answer",
        "The answers do not fit the questions; nothing is counted.",
        "Ответы не соответствуют вопросам; ничего не учтено."},
    Row{Outcome::outcome_unknown, 503, "outcome-unknown",
        "It is not known yet whether the ballot is counted: send the same ballot again.",
        "Пока неизвестно, учтён ли бюллетень: отправьте его ещё раз."},
    Row{Outcome::overloaded, 503, "overloaded",
        "Too much is under way, or the log cannot be written now: come back later.",
        "Сервер перегружен или журнал сейчас недоступен: повторите позже."},
    Row{Outcome::draining, 503, "draining", "The server is shutting down: come back.",
        "Сервер завершает работу: повторите позже."},
    Row{Outcome::starting, 503, "starting", "The server is catching up with the log: come back.",
        "Сервер догоняет журнал: повторите позже."},
};

bool is_tag(std::string_view text, std::string_view lower_case) {
  return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                    [](char c, char lower) { return (c | 0x20) == lower; });
}

// What a header says of a language.
struct Wish {
  static constexpr int kRefused = -1;  // below 0, which is that of a language nobody names

  int weight = 0;
  std::size_t place = 0;
  bool is_named = false;

  // A language that is named twice, as with two regions, has the higher weight.
  void name(int given, std::size_t at) {
    const int wanted = given == 0 ? kRefused : given;
    if (!is_named || wanted > weight) *this = {wanted, at, true};
  }
};

}  // namespace

Language language(std::string_view accept_language) {
  Wish en, ru, others;
  for (std::size_t place = 0; !accept_language.empty(); ++place) {
    auto parameters = take_part(accept_language, ',');
    auto range = take_part(parameters, ';');
    const auto primary = take_part(range, '-');
    if (primary.empty()) continue;
    const int weight = weight_in(parameters);
    if (is_tag(primary, "en")) en.name(weight, place);
    if (is_tag(primary, "ru")) ru.name(weight, place);
    if (primary == "*") others.name(weight, place);
  }
  if (!en.is_named) en = others;
  if (!ru.is_named) ru = others;
  if (ru.weight != en.weight) return ru.weight > en.weight ? Language::ru : Language::en;
  return ru.weight > 0 && ru.place < en.place ? Language::ru : Language::en;
}

OutcomeText describe(Outcome outcome, Language language) {
  for (const auto& row : kRows)
    if (row.outcome == outcome)
      return {row.status, row.code, language == Language::ru ? row.ru : row.en};
  VECHE_ASSERT(false, "every outcome has a row");
}

}  // namespace veche::wire
