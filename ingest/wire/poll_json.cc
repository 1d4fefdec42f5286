#include "ingest/wire/poll_json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <boost/json.hpp>
#include <initializer_list>

#include "engine/model/limits.h"
#include "ingest/wire/time.h"

namespace veche::wire {
namespace {

namespace json = boost::json;
using model::DocumentFault;

// Boost.JSON keeps the last of two members with one name, so duplicates are looked for before.
bool has_duplicate_names(simdjson::dom::element value) {
  simdjson::dom::array list;
  if (value.get(list) == simdjson::SUCCESS) {
    for (const auto item : list)
      if (has_duplicate_names(item)) return true;
    return false;
  }
  simdjson::dom::object object;
  if (value.get(object) != simdjson::SUCCESS) return false;
  std::vector<std::string_view> names;
  for (const auto member : object) {
    if (has_duplicate_names(member.value)) return true;
    names.push_back(member.key);
  }
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

// The pointer to a member whose name is anybody's: RFC 6901 writes ~ as ~0 and / as ~1.
std::string member_at(const std::string& object, std::string_view name) {
  auto pointer = object + '/';
  for (const char c : name) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
  return pointer;
}

// Reads a document member by member; everything wrong is added to one list.
class DefinitionReader {
 public:
  ReadPoll read(const json::value& document) {
    if (const auto* object = object_at(document, "")) read_poll(*object);
    return std::move(read_);
  }

 private:
  void fault(std::string pointer, std::string_view code, std::string detail) {
    read_.faults.push_back({std::move(pointer), std::string(code), std::move(detail)});
  }

  const json::object* object_at(const json::value& value, const std::string& at) {
    if (!value.is_object()) fault(at, "wrong-type", "an object is needed");
    return value.if_object();
  }
  void expect_members(const json::object& object, const std::string& at,
                      std::initializer_list<std::string_view> known) {
    for (const auto& member : object) {
      const std::string_view name = member.key();
      if (std::find(known.begin(), known.end(), name) == known.end())
        fault(member_at(at, name), "unknown-member", "there is no such member");
    }
  }
  // nullopt: it is told that there is no text, and so nothing more about what it says.
  std::optional<std::string> given_text(const json::object& object, std::string_view name,
                                        const std::string& at) {
    const auto* value = object.if_contains(name);
    if (value && value->is_string()) return std::string(value->get_string());
    fault(fmt::format("{}/{}", at, name), value ? "wrong-type" : "required", "a string is needed");
    return std::nullopt;
  }
  std::string text(const json::object& object, std::string_view name, const std::string& at) {
    return given_text(object, name, at).value_or(std::string());
  }
  // What a text means by `parse`, or `otherwise`.
  template <class Parse, class Value>
  Value meaning(const json::object& object, std::string_view name, const std::string& at,
                Parse parse, Value otherwise, std::string_view code, std::string detail) {
    const auto given = given_text(object, name, at);
    if (!given) return otherwise;
    const auto value = parse(*given);
    if (!value) fault(fmt::format("{}/{}", at, name), code, std::move(detail));
    return value ? Value(*value) : otherwise;
  }
  std::uint32_t number(const json::object& object, std::string_view name, const std::string& at,
                       std::uint32_t otherwise) {
    const auto* value = object.if_contains(name);
    if (!value) return otherwise;
    return whole(*value, fmt::format("{}/{}", at, name));
  }
  std::uint32_t whole(const json::value& value, const std::string& at) {
    const auto number = value.is_int64() ? value.get_int64() : -1;
    if (number >= 0 && number <= std::numeric_limits<std::uint32_t>::max())
      return static_cast<std::uint32_t>(number);
    fault(at, "wrong-type", "a whole number from 0 is needed");
    return 0;
  }
  const json::array* list(const json::object& object, std::string_view name,
                          const std::string& at) {
    const auto* value = object.if_contains(name);
    if (value && value->is_array()) return &value->get_array();
    fault(fmt::format("{}/{}", at, name), value ? "wrong-type" : "required", "a list is needed");
    return nullptr;
  }

  void read_poll(const json::object& object) {
    auto& poll = read_.definition;
    expect_members(object, "",
                   {"id", "title", "opens_at", "closes_at", "min_level", "targets",
                    "expected_voters", "visibility", "disclosure", "questions"});
    poll.id = meaning(object, "id", "", model::PollId::parse, model::PollId(), "bad-id",
                      "a poll id is 1..64 of [a-z0-9-]");
    poll.title = title(object, "");
    poll.opens_at = time(object, "opens_at");
    if (const auto* written = object.if_contains("opens_at"); written && written->is_string())
      read_.opens_on = local_date(std::string_view(written->get_string()));
    poll.closes_at = time(object, "closes_at");
    const auto level = number(object, "min_level", "", limits::kDefaultLevel);
    poll.min_level = static_cast<std::uint8_t>(std::min<std::uint32_t>(level, 255));
    read_targets(object);
    read_expected_voters(object);
    read_policies(object);
    if (const auto* questions = list(object, "questions", ""))
      for (std::size_t i = 0; i < questions->size() && i <= limits::kQuestionsPerPoll; ++i)
        read_question((*questions)[i], fmt::format("/questions/{}", i));
  }

  model::Title title(const json::object& object, const std::string& at) {
    const auto* value = object.if_contains("title");
    const auto here = at + "/title";
    if (!value || !value->is_object()) return {text(object, "title", at), {}};
    const auto& both = value->get_object();
    expect_members(both, here, {"ru", "en"});
    return {text(both, "ru", here), both.contains("en") ? text(both, "en", here) : std::string()};
  }

  model::Instant time(const json::object& object, std::string_view name) {
    return meaning(object, name, "", parse_time, model::Instant(), "bad-time",
                   "an RFC 3339 time is needed, as 2026-09-01T00:00:00Z");
  }

  void read_targets(const json::object& object) {
    const auto* targets = list(object, "targets", "");
    for (std::size_t i = 0; targets && i < targets->size() && i <= limits::kTargetsPerPoll; ++i) {
      const auto at = fmt::format("/targets/{}", i);
      const auto* target = object_at((*targets)[i], at);
      if (!target) continue;
      expect_members(*target, at, {"territory", "addr"});
      if (target->size() != 1) {
        fault(at, "wrong-type", "a target is either a territory or an addr");
      } else if (target->contains("territory")) {
        read_.definition.targets.emplace_back(
            meaning(*target, "territory", at, model::TerritoryCode::parse, model::TerritoryCode(),
                    "bad-id", "a code is 1..32 of [0-9A-Za-z-]"));
      } else {
        read_.definition.targets.emplace_back(
            meaning(*target, "addr", at, model::AddressCode::parse, model::AddressCode(), "bad-id",
                    "an address code is 1..64 of [0-9A-Za-z-_.:]"));
      }
    }
  }

  void read_expected_voters(const json::object& object) {
    const auto* value = object.if_contains("expected_voters");
    if (!value) return;
    const auto* expected = object_at(*value, "/expected_voters");
    if (!expected) return;
    for (const auto& [name, voters] : *expected) {
      const auto at = member_at("/expected_voters", name);
      const auto code = model::TerritoryCode::parse(name);
      if (code) read_.definition.expected_voters.emplace(*code, whole(voters, at));
      if (!code) fault(at, "bad-id", "a code is 1..32 of [0-9A-Za-z-]");
    }
  }

  void read_policies(const json::object& object) {
    if (object.contains("visibility"))
      read_.definition.visibility =
          meaning(object, "visibility", "", model::visibility, model::Visibility::public_live,
                  "unknown-value",
                  "one of public_live, after_vote, after_close, after_certification");
    const auto* value = object.if_contains("disclosure");
    if (!value) return;
    const auto* disclosure = object_at(*value, "/disclosure");
    if (!disclosure) return;
    const auto mode = meaning(*disclosure, "mode", "/disclosure", model::disclosure,
                              model::Disclosure::exact, "unknown-value", "one of exact, steps");
    read_.definition.disclosure = mode;
    if (mode != model::Disclosure::steps)
      return expect_members(*disclosure, "/disclosure", {"mode"});
    expect_members(*disclosure, "/disclosure", {"mode", "k"});
    read_.definition.least_voters =
        number(*disclosure, "k", "/disclosure", limits::kDefaultLeastVoters);
  }

  void read_question(const json::value& value, const std::string& at) {
    const auto* object = object_at(value, at);
    if (!object) return;
    expect_members(*object, at, {"id", "title", "kind", "min", "max", "points", "options"});
    auto& question = read_.definition.questions.emplace_back();
    question.id = text(*object, "id", at);
    question.title = title(*object, at);
    question.kind = meaning(*object, "kind", at, model::question_kind, model::QuestionKind::single,
                            "unknown-value", "one of single, approval, ranked, points");
    question.min = number(*object, "min", at, 1);
    question.max = number(*object, "max", at, 1);
    if (object->contains("points"))
      if (const auto* points = list(*object, "points", at))
        for (std::size_t i = 0; i < points->size() && i <= limits::kOptionsPerQuestion; ++i)
          question.points.push_back(whole((*points)[i], fmt::format("{}/points/{}", at, i)));
    if (const auto* options = list(*object, "options", at))
      for (std::size_t i = 0; i < options->size() && i <= limits::kOptionsPerQuestion; ++i)
        read_option((*options)[i], fmt::format("{}/options/{}", at, i), question);
  }

  void read_option(const json::value& value, const std::string& at, model::Question& question) {
    const auto* object = object_at(value, at);
    if (!object) return;
    expect_members(*object, at, {"id", "title"});
    question.options.push_back({text(*object, "id", at), title(*object, at)});
  }

  ReadPoll read_;
};

json::object write_question(const model::Question& question) {
  json::array points(question.points.begin(), question.points.end());
  json::array options;
  for (const auto& option : question.options)
    options.push_back(json::object{{"id", option.id}, {"title", write_title(option.title)}});
  return {{"id", question.id},
          {"title", write_title(question.title)},
          {"kind", json::string(model::name(question.kind))},
          {"min", question.min},
          {"max", question.max},
          {"points", std::move(points)},
          {"options", std::move(options)}};
}

}  // namespace

Result<json::value> read_document(std::string_view body) {
  simdjson::dom::parser parser(limits::kPollBodyBytes);
  if (parser.allocate(limits::kPollBodyBytes, limits::kJsonDepth) != simdjson::SUCCESS)
    return Fault{"out of memory"};
  simdjson::dom::element checked;
  const simdjson::padded_string padded(body);
  if (const auto error = parser.parse(padded).get(checked))
    return Fault{simdjson::error_message(error)};
  if (has_duplicate_names(checked)) return Fault{"an object has a member twice"};
  if (body.find("\\u0000") != std::string_view::npos) return Fault{"a string holds a NUL"};
  boost::system::error_code error;
  auto document = json::parse(json::string_view(body.data(), body.size()), error);
  if (error) return Fault{error.message()};
  return document;
}

Result<ReadPoll> read_poll(std::string_view body) {
  const auto document = read_document(body);
  if (!document) return document.error();
  auto read = DefinitionReader().read(*document);
  if (read.faults.empty()) read.faults = model::check(read.definition);
  return read;
}

json::value write_title(const model::Title& title) {
  if (title.en.empty()) return json::value(title.ru);
  return json::object{{"ru", title.ru}, {"en", title.en}};
}

json::object write_definition(const model::PollDefinition& poll) {
  json::array targets, questions;
  for (const auto& target : poll.targets) {
    if (const auto* territory = std::get_if<model::TerritoryCode>(&target))
      targets.push_back(json::object{{"territory", territory->str()}});
    else
      targets.push_back(json::object{{"addr", std::get<model::AddressCode>(target).str()}});
  }
  for (const auto& question : poll.questions) questions.push_back(write_question(question));
  json::object disclosure{{"mode", json::string(model::name(poll.disclosure))}};
  if (poll.disclosure == model::Disclosure::steps) disclosure["k"] = poll.least_voters;
  json::object expected;
  for (const auto& [code, voters] : poll.expected_voters) expected[code.str()] = voters;
  return {{"id", poll.id.str()},
          {"title", write_title(poll.title)},
          {"opens_at", format_time(poll.opens_at)},
          {"closes_at", format_time(poll.closes_at)},
          {"min_level", poll.min_level},
          {"targets", std::move(targets)},
          {"expected_voters", std::move(expected)},
          {"visibility", json::string(model::name(poll.visibility))},
          {"disclosure", std::move(disclosure)},
          {"questions", std::move(questions)}};
}

json::object write_poll(const model::PollEntry& poll) {
  auto object = write_definition(*poll.definition);
  object["state"] = json::string(model::name(poll.phase));
  object["version"] = poll.version;
  object["territories_version"] = poll.definition->tree_version;
  object["territories_on"] =
      poll.tree_day ? json::value(model::format_date(*poll.tree_day)) : json::value();
  return object;
}

json::object write_history(const model::PollEntry& poll) {
  json::array rows;
  for (const auto& row : poll.history->rows)
    rows.push_back(json::object{{"event", json::string(model::name(row.event))},
                                {"at", format_time(row.at)},
                                {"by", row.by},
                                {"reason", row.reason},
                                {"version", row.version}});
  return {{"poll", poll.definition->id.str()},
          {"history", std::move(rows)},
          {"audits", poll.history->audits}};
}

}  // namespace veche::wire
