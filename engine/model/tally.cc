#include "engine/model/tally.h"

#include <iterator>

#include "engine/model/checkpoint.h"

namespace veche::model {

TallyShape::TallyShape(const PollDefinition& poll) {
  for (const auto& question : poll.questions) {
    first_.push_back(width_);
    stride_.push_back(question.counts_points() ? 2 : 1);
    width_ += question.options.size() * stride_.back();
  }
}

void Tally::add(const PollDefinition& poll, const TerritoryCode& territory, const Answers& answers,
                std::uint32_t unix_hour) {
  const auto row = row_of(territory);
  ++row[0];
  ++ballots_;
  add_to_hour(unix_hour, 1);
  for (const auto& answer : answers) {
    const auto& question = poll.questions[answer.question];
    for (std::size_t i = 0; i < answer.choices.size(); ++i) {
      const auto at = shape_.votes_at(answer.question, answer.choices[i].option);
      ++row[at];
      if (question.kind == QuestionKind::ranked) row[at + 1] += question.points[i];
      if (question.kind == QuestionKind::points) row[at + 1] += answer.choices[i].points;
    }
  }
}

void Tally::merge(const Tally& other) {
  for (std::size_t place = 0; place < other.territories_.size(); ++place) {
    const auto from = other.row(place);
    const auto to = row_of(other.territories_[place]);
    for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
  }
  ballots_ += other.ballots_;
  for (const auto& hour : other.hours_) add_to_hour(hour.unix_hour, hour.ballots);
}

// Nearly every ballot is of the last hour.
void Tally::add_to_hour(std::uint32_t unix_hour, std::uint64_t ballots) {
  auto at = hours_.end();
  while (at != hours_.begin() && std::prev(at)->unix_hour > unix_hour) --at;
  if (at != hours_.begin() && std::prev(at)->unix_hour == unix_hour)
    std::prev(at)->ballots += ballots;
  else
    hours_.insert(at, {unix_hour, ballots});
}

std::span<std::uint64_t> Tally::row_of(const TerritoryCode& territory) {
  const auto [found, fresh] =
      places_.try_emplace(territory, static_cast<std::uint32_t>(territories_.size()));
  if (fresh) {
    territories_.push_back(territory);
    cells_.resize(cells_.size() + shape_.width());
  }
  return std::span(cells_).subspan(found->second * shape_.width(), shape_.width());
}

std::string Tally::serialize() const {
  ByteWriter out;
  out.number(territories_.size());
  for (std::size_t place = 0; place < territories_.size(); ++place) {
    out.text(territories_[place].view());
    for (const auto count : row(place)) out.number(count);
  }
  out.number(hours_.size());
  for (const auto& hour : hours_) {
    out.number(hour.unix_hour);
    out.number(hour.ballots);
  }
  return std::move(out).take();
}

bool Tally::restore(std::string_view bytes) {
  ByteReader in(bytes);
  const auto rows = in.number();
  for (std::uint64_t i = 0; i < rows && in.good(); ++i) {
    const auto code = TerritoryCode::parse(in.text());
    if (!code) return false;
    const auto to = row_of(*code);
    for (auto& count : to) count = in.number();
    ballots_ += to[0];
  }
  const auto hours = in.number();
  for (std::uint64_t i = 0; i < hours && in.good(); ++i) {
    const auto hour = static_cast<std::uint32_t>(in.number());
    add_to_hour(hour, in.number());
  }
  return in.good() && in.at_end();
}

}  // namespace veche::model
