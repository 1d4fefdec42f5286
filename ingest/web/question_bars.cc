#include "ingest/web/question_bars.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace veche::web {
namespace {

using model::Question;
using publish::Row;
using publish::Snapshot;

std::string kind_of(const Question& question, Language language) {
  switch (question.kind) {
    case model::QuestionKind::single:
      return std::string(say(Text::kind_single, language));
    case model::QuestionKind::approval:
      return question.min <= 1
                 ? say(Text::kind_approval, language, question.max)
                 : say(Text::kind_approval_range, language, question.min, question.max);
    case model::QuestionKind::ranked:
      return say(Text::kind_ranked, language, fmt::join(question.points, ", "));
    case model::QuestionKind::points:
      return question.min == question.max
                 ? say(Text::kind_points, language, question.max)
                 : say(Text::kind_points_range, language, question.min, question.max);
  }
  return {};
}

std::string hint_of(const Question& question, Language language) {
  auto hint = kind_of(question, language);
  hint += ' ';
  hint += say(question.counts_points() ? Text::share_of_points : Text::share_of_ballots, language);
  if (question.kind == model::QuestionKind::approval && question.max > 1)
    hint.append(" ").append(say(Text::shares_exceed, language));
  return hint;
}

void open_question(const Question& question, std::size_t number, const std::string& hint,
                   Language language, Html& html) {
  const auto id = fmt::format("q{}", number);
  html.add("<section class=\"question\" aria-labelledby=\""_html, id, "\">\n<h2 id=\""_html, id,
           "\"><bdi>"_html, title(question.title, language), "</bdi></h2>\n<p class=\"hint\">"_html,
           hint, "</p>\n"_html);
}

// Only then do options have an order of their own. A node that is behind the one that certified has
// counts that are not the certified ones.
bool is_settled(const Snapshot& snapshot) {
  return snapshot.poll->phase == model::PollPhase::certified && snapshot.is_final;
}

std::vector<std::size_t> order_of(const Snapshot& snapshot, const Row& counts, std::size_t q) {
  std::vector<std::size_t> order(snapshot.poll->definition->questions[q].options.size());
  std::iota(order.begin(), order.end(), 0);
  if (is_settled(snapshot))
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
      return measure(snapshot, counts, q, a).part > measure(snapshot, counts, q, b).part;
    });
  return order;
}

class QuestionTable {
 public:
  QuestionTable(const Snapshot& snapshot, const Row& counts, std::size_t question,
                Language language)
      : snapshot_(snapshot), counts_(counts), q_(question), language_(language) {}

  // Roles are named because the style sheet makes grids of the rows where there is little room,
  // and then a browser would forget that they are rows.
  void write(Html& html) const {
    const auto order = order_of(snapshot_, counts_, q_);
    const bool points = snapshot_.shape.has_points(q_);
    html.add("<table class=\"bars\" role=\"table\" data-question=\""_html, std::to_string(q_),
             "\">\n<thead role=\"rowgroup\"><tr role=\"row\">"
             "<th scope=\"col\" role=\"columnheader\">"_html,
             say(Text::option, language_), "</th>"_html);
    add_header(Text::share, html);
    if (points) add_header(Text::points, html);
    add_header(points ? Text::voters : Text::votes, html);
    html.add("</tr></thead>\n<tbody role=\"rowgroup\">\n"_html);
    const auto most = measure(snapshot_, counts_, q_, order.front()).part;
    for (const auto option : order) write_row(option, most, html);
    html.add("</tbody>\n</table>\n</section>\n"_html);
  }

 private:
  void add_header(Text text, Html& html) const {
    html.add("<th scope=\"col\" role=\"columnheader\" class=\"n\">"_html, say(text, language_),
             "</th>"_html);
  }

  void write_row(std::size_t option, std::uint64_t most, Html& html) const {
    const auto [part, whole] = measure(snapshot_, counts_, q_, option);
    const bool leads = is_settled(snapshot_) && part == most && part > 0;
    const auto& definition = snapshot_.poll->definition->questions[q_].options[option];
    html.add("<tr role=\"row\" data-option=\""_html, std::to_string(option), "\""_html);
    if (leads) html.add(" class=\"most\""_html);
    html.add("><th scope=\"row\" role=\"rowheader\"><bdi>"_html, title(definition.title, language_),
             "</bdi>"_html);
    if (leads) html.add(" <span class=\"mark\">"_html, say(Text::most, language_), "</span>"_html);
    html.add(R"(<svg class="bar" aria-hidden="true"><rect class="track" width="100%"/>)"
             R"(<rect class="fill" width=")"_html,
             share_length(part, whole), "\"/></svg></th>"_html);
    add_cell("share", share(part, whole, language_), html);
    if (snapshot_.shape.has_points(q_)) add_cell("points", number(part, language_), html);
    const auto votes = counts_[snapshot_.shape.votes_at(q_, option)];
    add_cell("votes", number(votes, language_), html);
    html.add("</tr>\n"_html);
  }

  static void add_cell(std::string_view kind, std::string_view text, Html& html) {
    html.add("<td role=\"cell\" class=\"n "_html, kind, "\">"_html, text, "</td>"_html);
  }

  const Snapshot& snapshot_;
  const Row& counts_;
  const std::size_t q_;
  const Language language_;
};

}  // namespace

Measure measure(const Snapshot& snapshot, const Row& counts, std::size_t question,
                std::size_t option) {
  const auto& shape = snapshot.shape;
  if (!shape.has_points(question)) return {counts[shape.votes_at(question, option)], counts[0]};
  std::uint64_t whole = 0;
  const auto options = snapshot.poll->definition->questions[question].options.size();
  for (std::size_t o = 0; o < options; ++o) whole += counts[shape.votes_at(question, o) + 1];
  return {counts[shape.votes_at(question, option) + 1], whole};
}

Html questions_alone(const model::PollDefinition& poll, Language language) {
  Html html;
  for (std::size_t q = 0; q < poll.questions.size(); ++q) {
    const auto& question = poll.questions[q];
    open_question(question, q, kind_of(question, language), language, html);
    html.add("<ul class=\"options\">\n"_html);
    for (const auto& option : question.options)
      html.add("<li><bdi>"_html, title(option.title, language), "</bdi></li>\n"_html);
    html.add("</ul>\n</section>\n"_html);
  }
  return html;
}

Html questions_with_bars(const Snapshot& snapshot, const Row& counts, Language language) {
  Html html;
  const auto& questions = snapshot.poll->definition->questions;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    open_question(questions[q], q, hint_of(questions[q], language), language, html);
    QuestionTable(snapshot, counts, q, language).write(html);
  }
  return html;
}

}  // namespace veche::web
