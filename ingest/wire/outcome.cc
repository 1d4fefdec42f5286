#include "ingest/wire/outcome.h"

#include <algorithm>
#include <array>

#include "engine/model/assert.h"

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

// The weight of a language range's parameters is zero: "not this one".
bool refused(std::string_view parameters) {
  const auto q = parameters.find("q=0");
  return q != std::string_view::npos &&
         parameters.find_first_of("123456789", q + 3) == std::string_view::npos;
}

}  // namespace

Language language(std::string_view accept_language) {
  while (!accept_language.empty()) {
    const auto comma = accept_language.find(',');
    auto range = accept_language.substr(0, comma);
    accept_language.remove_prefix(comma == std::string_view::npos ? range.size() : comma + 1);
    range.remove_prefix(std::min(range.find_first_not_of(" \t"), range.size()));
    const auto end = range.find_first_of("-; ");
    const auto primary = range.substr(0, end);
    if (end != std::string_view::npos && refused(range.substr(end))) continue;
    if (primary == "ru" || primary == "RU") return Language::ru;
    if (primary == "en" || primary == "EN") return Language::en;
  }
  return Language::en;
}

OutcomeText describe(Outcome outcome, Language language) {
  for (const auto& row : kRows)
    if (row.outcome == outcome)
      return {row.status, row.code, language == Language::ru ? row.ru : row.en};
  VECHE_ASSERT(false, "every outcome has a row");
}

}  // namespace veche::wire
