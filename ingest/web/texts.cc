#include "ingest/web/texts.h"

#include <fmt/chrono.h>

#include <array>
#include <boost/json.hpp>
#include <chrono>

#include "engine/model/assert.h"
#include "ingest/wire/time.h"

namespace veche::web {
namespace {

namespace json = boost::json;

struct Row {
  Text text;
  std::string_view ru;
  std::string_view en;
};

constexpr std::array kRows{
    Row{Text::skip_to_content, "К содержанию", "Skip to content"},
    Row{Text::site_motto, "Голосования области", "Polls of the region"},
    Row{Text::polls, "Голосования", "Polls"},
    Row{Text::all_polls, "Все голосования", "All polls"},
    Row{Text::other_language, "English", "Русский"},
    Row{Text::site_navigation, "Разделы", "Sections"},
    Row{Text::test_data, "Тестовые данные. Это не настоящее голосование.",
        "Test data. This is not a real poll."},
    Row{Text::footer_once, "Каждый участник учтён один раз.", "Each voter is counted once."},
    Row{Text::footer_interface, "Открытый интерфейс", "Open interface"},

    Row{Text::state_scheduled, "Назначено", "Scheduled"},
    Row{Text::state_open, "Идёт", "Open"},
    Row{Text::state_closed, "Завершено", "Closed"},
    Row{Text::state_certified, "Итог утверждён", "Certified"},
    Row{Text::state_cancelled, "Отменено", "Cancelled"},
    Row{Text::states, "Состояние", "State"},
    Row{Text::any_state, "Все", "All"},
    Row{Text::search_polls, "Найти голосование", "Find a poll"},
    Row{Text::search_polls_hint, "Название или территория: посёлок, район, город",
        "A title or a territory: settlement, district, city"},
    Row{Text::find, "Найти", "Find"},
    Row{Text::no_polls_found, "Ничего не найдено.", "Nothing was found."},
    Row{Text::no_polls_yet, "Голосований пока нет.", "There are no polls yet."},
    Row{Text::previous_page, "Назад", "Previous"},
    Row{Text::next_page, "Дальше", "Next"},
    Row{Text::pages, "Страницы", "Pages"},
    Row{Text::and_more, "и ещё {}", "and {} more"},
    Row{Text::by_address, "по адресам", "by address"},

    Row{Text::opens_at, "откроется", "opens"},
    Row{Text::closes_at, "до", "until"},
    Row{Text::closed_at, "завершилось", "ended"},
    Row{Text::was_to_open_at, "должно было открыться", "was to open"},
    Row{Text::ballots_figure, "Принято бюллетеней", "Ballots counted"},
    Row{Text::of_expected, "{} от ожидаемого числа участников ({})",
        "{} of the expected voters ({})"},
    Row{Text::as_of, "По состоянию на", "As of"},
    Row{Text::reload_for_newer, "Обновите страницу, чтобы увидеть новые данные.",
        "Reload the page for newer numbers."},
    Row{Text::pause, "Пауза", "Pause"},
    Row{Text::live, "В прямом эфире", "Live"},
    Row{Text::paused, "На паузе", "Paused"},
    Row{Text::stalled, "Нет связи, данные устарели", "No connection, numbers are old"},
    Row{Text::connecting, "Подключение", "Connecting"},
    Row{Text::announcement, "Принято: {}", "Counted: {}"},
    Row{Text::age_seconds, "{} с назад", "{} s ago"},
    Row{Text::age_minutes, "{} мин назад", "{} min ago"},
    Row{Text::age_hours, "{} ч назад", "{} h ago"},

    Row{Text::not_open_yet, "Голосование ещё не открыто.", "The poll is not open yet."},
    Row{Text::no_ballots_yet, "Бюллетеней пока нет.", "There are no ballots yet."},
    Row{Text::hidden_until_voted,
        "До завершения голосования результаты видят только проголосовавшие, на портале, где они "
        "голосуют.",
        "Until the poll is closed, results are shown only to those who have voted, on the portal "
        "where they vote."},
    Row{Text::hidden_until_closed, "Результаты скрыты до завершения голосования.",
        "Results are hidden until the poll is closed."},
    Row{Text::hidden_until_certified, "Результаты скрыты до утверждения итога.",
        "Results are hidden until they are certified."},
    Row{Text::hidden_never_zero,
        "Так решено до начала голосования. Скрыто и число принятых бюллетеней.",
        "This was settled before the poll opened. The number of ballots is hidden too."},
    Row{Text::still_counting, "Голосование завершено, учитываются последние бюллетени.",
        "The poll is closed; the last ballots are being counted."},
    Row{Text::awaits_certification,
        "Голосование завершено, все бюллетени учтены. Итог ещё не утверждён.",
        "The poll is closed and every ballot is counted. The result is not certified yet."},
    Row{Text::certified_note, "Итог утверждён и больше не изменится.",
        "The result is certified and will not change any more."},
    Row{Text::certificate, "Свидетельство об итоге", "Certificate of the result"},
    Row{Text::certificate_bytes, "Утверждённый документ", "The certified document"},
    Row{Text::cancelled_note, "Голосование отменено. Учтённые бюллетени ни на что не влияют.",
        "The poll was cancelled. The ballots that were counted have no effect."},
    Row{Text::cancelled_unopened_note, "Голосование отменено до открытия.",
        "The poll was cancelled before it opened."},
    Row{Text::steps_note,
        "Чтобы нельзя было узнать выбор отдельного человека, результаты обновляются порциями. "
        "Участников в каждой: не менее {}.",
        "So that nobody's own choice can be told, results are shown in batches of at least "
        "{} voters."},
    Row{Text::not_yet_note,
        "Порция показывается, когда набралась следующая: результатов пока не видно.",
        "A batch is shown when the next one is complete: there are no results to see yet."},
    Row{Text::too_few_note,
        "Участников слишком мало, или все ответили одинаково: любой результат показал бы, как "
        "кто-то проголосовал.",
        "Too few people voted, or all alike: nothing can be shown without telling how somebody "
        "voted."},
    Row{Text::turnout_rounded, "с округлением вниз", "rounded down"},
    Row{Text::fewer_than, "менее {}", "fewer than {}"},

    Row{Text::option, "Вариант", "Option"},
    Row{Text::share, "Доля", "Share"},
    Row{Text::votes, "Голоса", "Votes"},
    Row{Text::points, "Баллы", "Points"},
    Row{Text::voters, "Участники", "Voters"},
    Row{Text::share_of_ballots, "Доля от принятых бюллетеней.", "Shares are of all ballots."},
    Row{Text::share_of_points, "Доля от всех баллов.", "Shares are of all points."},
    Row{Text::shares_exceed, "Сумма долей может быть больше 100 %.",
        "Shares may add up to more than 100%."},
    Row{Text::kind_single, "Один вариант.", "One option."},
    Row{Text::kind_approval, "Можно выбрать вариантов: до {}.", "Options to choose: up to {}."},
    Row{Text::kind_approval_range, "Можно выбрать вариантов: от {} до {}.",
        "Options to choose: {} to {}."},
    Row{Text::kind_ranked, "По порядку предпочтения; места дают баллы: {}.",
        "In order of preference; points of the places: {}."},
    Row{Text::kind_points, "Баллов на участника: {}.", "Points of each voter to spread: {}."},
    Row{Text::kind_points_range, "Баллов на участника: от {} до {}.",
        "Points of each voter to spread: {} to {}."},
    Row{Text::most, "больше всего", "the most"},

    Row{Text::turnout_over_time, "Явка по времени", "Turnout over time"},
    Row{Text::turnout_chart_label, "Принято бюллетеней: {} — {}, {} — {}.",
        "Ballots counted: {} by {}, {} by {}."},
    Row{Text::turnout_table, "Таблица", "Table"},
    Row{Text::moment, "Время", "Time"},

    Row{Text::by_territory, "По территориям", "By territory"},
    Row{Text::territory, "Территория", "Territory"},
    Row{Text::ballots, "Бюллетени", "Ballots"},
    Row{Text::turnout, "Явка", "Turnout"},
    Row{Text::not_below, "Зарегистрированы здесь, но ни в одной из территорий внутри: {}",
        "Registered here and in no territory within: {}"},
    Row{Text::search_territory, "Найти территорию", "Find a territory"},
    Row{Text::territories_found, "Показано {} из {}", "{} of {} shown"},
    Row{Text::no_territories_found, "Таких территорий нет.", "There are no such territories."},
    Row{Text::level, "Уровень", "Level"},
    Row{Text::all_levels, "все", "all"},
    Row{Text::too_many_territories,
        "Территорий очень много: здесь показаны верхние уровни, остальные есть на страницах "
        "территорий и в CSV.",
        "There are very many territories: here are the upper levels, the others are on the pages "
        "of territories and in the CSV."},
    Row{Text::csv_of_view, "Скачать CSV", "Download CSV"},
    Row{Text::csv_for_excel, "CSV для Excel", "CSV for Excel"},
    Row{Text::scroll_hint, "Таблица по территориям, прокручивается",
        "Table by territory, can be scrolled"},
    Row{Text::shown_in_group, "в группе", "in a group"},
    Row{Text::not_yet_shown, "пока скрыто", "not shown yet"},
    Row{Text::not_shown, "не показывается", "not shown"},
    Row{Text::groups, "Показаны только вместе", "Shown together only"},
    Row{Text::groups_note,
        "Эти территории показаны только вместе с другими, чтобы нельзя было узнать ничей выбор.",
        "These territories are shown only together with others, so that nobody's choice can be "
        "told."},
    Row{Text::group_within, "{}, вместе:", "{}, together:"},
    Row{Text::group_somewhere, "Вместе:", "Together:"},
    Row{Text::group_not_below, "{} (вне нижестоящих территорий)", "{} (registered nowhere below)"},
    Row{Text::below_this, "Внутри", "Within"},
    Row{Text::up_the_tree, "Где это", "Where this is"},
    Row{Text::territory_hidden,
        "Результаты этой территории показаны только вместе с другими, чтобы нельзя было узнать "
        "ничей выбор.",
        "Results of this territory are shown only together with others, so that nobody's choice "
        "can be told."},
    Row{Text::document_json, "Скачать JSON", "Download JSON"},
    Row{Text::version_of_results, "Версия", "Version"},

    Row{Text::not_found_title, "Такой страницы нет", "There is no such page"},
    Row{Text::not_found, "Возможно, в адресе опечатка.", "The address may have a typing error."},
    Row{Text::unavailable_title, "Сервер сейчас не отвечает на вопросы",
        "The server cannot answer just now"},
    Row{Text::unavailable,
        "Он запускается, завершает работу или перегружен. Принятые бюллетени сохранены. Обновите "
        "страницу через несколько секунд.",
        "It is starting, ending or overloaded. Ballots that were taken are safe. Reload the page "
        "in a few seconds."},
    Row{Text::faulty_request_title, "Непонятный запрос", "The request is not understood"},
    Row{Text::faulty_request, "Проверьте параметры в адресе.",
        "Look at the parameters in the address."},

    Row{Text::load_title, "Нагрузка", "Load"},
    Row{Text::load_note, "Этот узел, все голосования вместе. Страница для оператора.",
        "This node, all polls together. A page for the operator."},
    Row{Text::load_needs_script, "Числа в секунду считает скрипт страницы.",
        "Rates are worked out by the page's script."},
    Row{Text::ballots_per_second, "Бюллетеней в секунду", "Ballots a second"},
    Row{Text::requests_per_second, "Запросов в секунду", "Requests a second"},
    Row{Text::connections, "Соединений", "Connections"},
    Row{Text::p99, "p99 за 10 с, не более", "p99 of 10 s, at most"},
    Row{Text::readiness, "Готовность", "Readiness"},
    Row{Text::ready, "готов", "ready"},
    Row{Text::not_ready, "не готов", "not ready"},
    Row{Text::outcomes, "Что стало с бюллетенями", "What became of ballots"},
    Row{Text::outcome, "Исход", "Outcome"},
    Row{Text::per_second, "В секунду", "A second"},
    Row{Text::since_start, "С запуска", "Since the start"},
    Row{Text::cpu_cores, "Занято ядер", "Cores busy"},
    Row{Text::last_minutes, "Принято в секунду за последние две минуты",
        "Accepted a second, the last two minutes"},
    Row{Text::load_table, "Таблица", "Table"},
};

// say() finds a row by its place.
constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i)
    if (static_cast<std::size_t>(kRows[i].text) != i) return false;
  return kRows.size() == static_cast<std::size_t>(Text::load_table) + 1;
}
static_assert(in_order(), "every text has its row, in the order of the enum");

struct NounRow {
  Noun noun;
  std::string_view ru_one, ru_few, ru_many;
  std::string_view en_one, en_other;
};
constexpr std::array kNouns{
    NounRow{Noun::ballot, "бюллетень", "бюллетеня", "бюллетеней", "ballot", "ballots"},
    NounRow{Noun::territory, "территория", "территории", "территорий", "territory", "territories"},
    NounRow{Noun::poll, "голосование", "голосования", "голосований", "poll", "polls"},
};

constexpr std::array<std::string_view, 12> kMonthsRu{"января",   "февраля", "марта",  "апреля",
                                                     "мая",      "июня",    "июля",   "августа",
                                                     "сентября", "октября", "ноября", "декабря"};
constexpr std::array<std::string_view, 12> kMonthsEn{
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

constexpr std::string_view kNarrowSpace = "\u202f";
constexpr std::string_view kDash = "–";

std::string_view separator(Language language) {
  return language == Language::ru ? kNarrowSpace : std::string_view(",");
}

std::string_view form_of(std::uint64_t count, const NounRow& row, Language language) {
  if (language == Language::en) return count == 1 ? row.en_one : row.en_other;
  const auto tens = count % 100, ones = count % 10;
  if (tens >= 11 && tens <= 14) return row.ru_many;
  if (ones == 1) return row.ru_one;
  return ones >= 2 && ones <= 4 ? row.ru_few : row.ru_many;
}

std::uint64_t permille(std::uint64_t part, std::uint64_t whole) {
  return (2'000 * part + whole) / (2 * whole);
}

// Two bytes of UTF-8 of the letters А..я, Ё, ё.
void fold_cyrillic(unsigned char first, unsigned char second, std::string& out) {
  if ((first == 0xD0 && second == 0x81) || (first == 0xD1 && second == 0x91)) {  // Ё, ё
    first = 0xD0;
    second = 0xB5;                                                 // е
  } else if (first == 0xD0 && second >= 0x90 && second <= 0x9F) {  // А..П
    second += 0x20;
  } else if (first == 0xD0 && second >= 0xA0 && second <= 0xAF) {  // Р..Я
    first = 0xD1;
    second -= 0x20;
  }
  out += static_cast<char>(first);
  out += static_cast<char>(second);
}

}  // namespace

std::string_view say(Text text, Language language) {
  const auto& row = kRows[static_cast<std::size_t>(text)];
  return language == Language::ru ? row.ru : row.en;
}

std::string_view tag_of(Language language) { return language == Language::ru ? "ru" : "en"; }

std::string number(std::uint64_t value, Language language) {
  const auto digits = std::to_string(value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += separator(language);
    out += digits[i];
  }
  return out;
}

std::string share(std::uint64_t part, std::uint64_t whole, Language language) {
  if (whole == 0) return std::string(kDash);
  const auto tenths = permille(part, whole);
  return language == Language::ru ? fmt::format("{},{}{}%", tenths / 10, tenths % 10, kNarrowSpace)
                                  : fmt::format("{}.{}%", tenths / 10, tenths % 10);
}

std::string share_length(std::uint64_t part, std::uint64_t whole) {
  const auto tenths = whole == 0 ? 0 : permille(part, whole);
  return fmt::format("{}.{}%", tenths / 10, tenths % 10);
}

std::string counted(std::uint64_t count, Noun noun, Language language) {
  for (const auto& row : kNouns)
    if (row.noun == noun)
      return fmt::format("{}\u00a0{}", number(count, language), form_of(count, row, language));
  VECHE_ASSERT(false, "every noun has a row");
}

std::string time_text(model::Instant at, Language language) {
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  const auto month = static_cast<unsigned>(date.month()) - 1;
  return fmt::format("{} {} {}, {:02}:{:02} UTC", static_cast<unsigned>(date.day()),
                     (language == Language::ru ? kMonthsRu : kMonthsEn)[month],
                     static_cast<int>(date.year()), time.hours().count(), time.minutes().count());
}

Html time_element(model::Instant at, Language language) {
  Html html;
  html.add("<time datetime=\""_html, wire::format_time(at), "\">"_html, time_text(at, language),
           "</time>"_html);
  return html;
}

std::string_view title(const model::Title& title, Language language) {
  return language == Language::en && !title.en.empty() ? title.en : title.ru;
}

std::string folded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool cyrillic = (byte == 0xD0 || byte == 0xD1) && i + 1 < text.size();
    if (cyrillic) {
      fold_cyrillic(byte, static_cast<unsigned char>(text[++i]), out);
    } else {
      out += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 0x20) : text[i];
    }
  }
  return out;
}

std::string script_texts(Language language) {
  json::object texts{{"group", json::string(separator(language))},
                     {"decimal", language == Language::ru ? "," : "."},
                     {"percent", language == Language::ru ? "\u202f%" : "%"},
                     {"none", json::string(kDash)}};
  const auto add = [&](const char* name, Text text) {
    texts[name] = json::string(say(text, language));
  };
  add("live", Text::live);
  add("paused", Text::paused);
  add("stalled", Text::stalled);
  add("connecting", Text::connecting);
  add("announcement", Text::announcement);
  add("seconds", Text::age_seconds);
  add("minutes", Text::age_minutes);
  add("hours", Text::age_hours);
  add("expected", Text::of_expected);
  add("found", Text::territories_found);
  add("none_found", Text::no_territories_found);
  add("not_yet", Text::not_yet_shown);
  add("in_group", Text::shown_in_group);
  add("not_shown", Text::not_shown);
  add("not_below", Text::not_below);
  add("fewer", Text::fewer_than);
  add("ready", Text::ready);
  add("not_ready", Text::not_ready);
  const auto& ballot = kNouns[0];
  texts["ballots"] = language == Language::ru
                         ? json::array{json::string(ballot.ru_one), json::string(ballot.ru_few),
                                       json::string(ballot.ru_many)}
                         : json::array{json::string(ballot.en_one), json::string(ballot.en_other)};
  return json::serialize(texts);
}

}  // namespace veche::web
