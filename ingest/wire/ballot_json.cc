#include "ingest/wire/ballot_json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "engine/model/limits.h"
#include "ingest/auth/strict_json.h"

namespace veche::wire {

using auth::StrictObject;
using simdjson::dom::element;
using simdjson::dom::element_type;

// Each read_* says false after it has said why in `fault`.
struct BallotReader::State {
  simdjson::dom::parser parser = auth::bounded_parser(limits::kBallotBodyBytes);
  model::NamedAnswers answers;
  BatchLine line;
  std::string fault;

  bool refuse(std::string why) {
    fault = std::move(why);
    return false;
  }

  bool parse(std::string_view body, element& document) {
    const auto error = auth::parse_copy(parser, body, document);
    return !error || refuse(simdjson::error_message(error));
  }

  bool read_text(element value, std::string_view what, std::string_view& text) {
    if (value.get(text) != simdjson::SUCCESS) return refuse(fmt::format("{} is no string", what));
    if (text.find('\0') != std::string_view::npos)
      return refuse(fmt::format("{} holds a NUL", what));
    return true;
  }

  bool read_optional_text(const std::optional<element>& value, std::string_view what,
                          std::string_view& text) {
    text = {};
    return !value || read_text(*value, what, text);
  }

  template <std::size_t N>
  bool read_object(element value, const std::array<std::string_view, N>& names,
                   std::string_view what, StrictObject<N>& members) {
    using Shape = typename StrictObject<N>::Shape;
    switch (members.read(value, names)) {
      case Shape::kGood:
        return true;
      case Shape::kNotAnObject:
        return refuse(fmt::format("{} is not an object", what));
      case Shape::kUnknownMember:
        return refuse(fmt::format("{} has a member that does not belong there", what));
      case Shape::kDuplicateMember:
        return refuse(fmt::format("{} has a member twice", what));
    }
    return false;
  }

  bool read_list(simdjson::dom::array list, model::NamedAnswer& answer) {
    for (const element choice : list) {
      std::string_view option;
      if (!read_text(choice, "a choice", option)) return false;
      answer.choices.push_back({option, 0});
    }
    return true;
  }

  bool read_spread(simdjson::dom::object spread, model::NamedAnswer& answer) {
    answer.with_points = true;
    if (spread.size() > limits::kOptionsPerQuestion)
      return refuse("points are given to more options than a question may have");
    for (const auto entry : spread) {
      if (entry.value.type() != element_type::INT64)
        return refuse("points are not a whole number of 64 bits");
      if (entry.key.find('\0') != std::string_view::npos) return refuse("an option id holds a NUL");
      for (const auto& known : answer.choices)
        if (known.option == entry.key) return refuse("points are given to an option twice");
      answer.choices.push_back({entry.key, std::int64_t(entry.value)});
    }
    return true;
  }

  bool read_answer(element value, model::NamedAnswer& answer) {
    static constexpr std::array<std::string_view, 2> kNames{"question", "choices"};
    StrictObject<2> members;
    if (!read_object(value, kNames, "an answer", members)) return false;
    if (!members.has(0) || !members.has(1)) return refuse("an answer needs question and choices");
    if (!read_text(*members.member(0), "question", answer.question)) return false;
    answer.with_points = false;
    answer.choices.clear();
    simdjson::dom::array list;
    if (members.member(1)->get(list) == simdjson::SUCCESS) return read_list(list, answer);
    simdjson::dom::object spread;
    if (members.member(1)->get(spread) == simdjson::SUCCESS) return read_spread(spread, answer);
    return refuse("choices are neither a list nor an object");
  }

  bool read_answers(const std::optional<element>& value, model::NamedAnswers& into) {
    simdjson::dom::array list;
    if (!value || value->get(list) != simdjson::SUCCESS) return refuse("answers are not a list");
    into.resize(list.size());
    std::size_t i = 0;
    for (const element answer : list)
      if (!read_answer(answer, into[i++])) return false;
    return true;
  }

  bool read_addresses(const std::optional<element>& value) {
    line.addresses.clear();
    if (!value) return true;
    simdjson::dom::array list;
    if (value->get(list) != simdjson::SUCCESS || list.size() < 1 ||
        list.size() > limits::kAddressesPerToken)
      return refuse(
          fmt::format("addr is not a list of 1 to {}: leave it out for a voter without addresses",
                      limits::kAddressesPerToken));
    for (const element address : list) {
      std::string_view code;
      if (!read_text(address, "addr", code)) return false;
      line.addresses.push_back(code);
    }
    return true;
  }

  bool read_line(const StrictObject<7>& members) {
    if (!read_optional_text(members.member(0), "poll", line.poll) ||
        !read_optional_text(members.member(1), "voter", line.voter) ||
        !read_optional_text(members.member(2), "territory", line.territory) ||
        !read_addresses(members.member(3)))
      return false;
    line.level = 0;
    if (members.has(4) && members.member(4)->get(line.level) != simdjson::SUCCESS)
      return refuse("level is not a whole number");
    const bool own_token = members.has(5);
    line.token.reset();
    if (own_token && !read_text(*members.member(5), "token", line.token.emplace())) return false;
    for (std::size_t word = 0; word < 5; ++word)
      if (own_token && members.has(word))
        return refuse("a line with a token of its own says nothing else about the voter");
    if (!own_token && !(members.has(0) && members.has(1) && members.has(2) && members.has(4)))
      return refuse("a line needs poll, voter, territory, level, answers; or token, answers");
    return read_answers(members.member(6), line.answers);
  }
};

BallotReader::BallotReader() : state_(std::make_unique<State>()) {}
BallotReader::~BallotReader() = default;

Result<const model::NamedAnswers*> BallotReader::read(std::string_view body) {
  static constexpr std::array<std::string_view, 1> kNames{"answers"};
  element document;
  StrictObject<1> members;
  if (!state_->parse(body, document) ||
      !state_->read_object(document, kNames, "the ballot", members) ||
      !state_->read_answers(members.member(0), state_->answers))
    return Fault{state_->fault};
  return &state_->answers;
}

Result<const BatchLine*> BallotReader::read_line(std::string_view body) {
  static constexpr std::array<std::string_view, 7> kNames{"poll",  "voter", "territory", "addr",
                                                          "level", "token", "answers"};
  element document;
  StrictObject<7> members;
  if (!state_->parse(body, document) ||
      !state_->read_object(document, kNames, "the line", members) || !state_->read_line(members))
    return Fault{state_->fault};
  return &state_->line;
}

}  // namespace veche::wire
