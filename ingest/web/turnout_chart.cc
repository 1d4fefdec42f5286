#include "ingest/web/turnout_chart.h"

#include <algorithm>
#include <vector>

#include "engine/model/limits.h"

namespace veche::web {
namespace {

constexpr std::size_t kFewestPoints = 3;

// In units of the drawing, which grows with the page.
constexpr double kWidth = 720, kTop = 12, kBottom = 156;

std::vector<TurnoutPoint> thinned(std::span<const TurnoutPoint> series) {
  const auto step = (series.size() + limits::kTurnoutPointsShown - 1) / limits::kTurnoutPointsShown;
  std::vector<TurnoutPoint> kept;
  for (std::size_t back = 0; back < series.size(); back += step)
    kept.push_back(series[series.size() - 1 - back]);
  std::reverse(kept.begin(), kept.end());
  return kept;
}

struct Scale {
  explicit Scale(std::span<const TurnoutPoint> points)
      : first(points.front().at), span(static_cast<double>((points.back().at - first).count())) {
    for (const auto& point : points) most = std::max(most, point.ballots);
  }
  double x(model::Instant at) const {
    return span == 0 ? kWidth : kWidth * static_cast<double>((at - first).count()) / span;
  }
  double y(std::uint64_t ballots) const {
    const auto height = kBottom - kTop;
    return most == 0 ? kBottom
                     : kBottom - height * static_cast<double>(ballots) / static_cast<double>(most);
  }

  model::Instant first;
  double span;
  std::uint64_t most = 0;
};

std::string line_through(std::span<const TurnoutPoint> points, const Scale& scale) {
  std::string path;
  for (const auto& point : points)
    fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                   scale.x(point.at), scale.y(point.ballots));
  return path;
}

std::string told(std::uint64_t ballots, std::optional<std::uint64_t> least, Language language) {
  if (ballots == 0 && least) return say(Text::fewer_than, language, number(*least, language));
  return number(ballots, language);
}

void add_drawing(std::span<const TurnoutPoint> points, std::optional<std::uint64_t> least,
                 Language language, Html& html) {
  const Scale scale(points);
  const auto line = line_through(points, scale);
  const auto& first = points.front();
  const auto& last = points.back();
  html.add(R"(<svg class="chart" viewBox="0 0 720 180" role="img" aria-label=")"_html,
           say(Text::turnout_chart_label, language, told(first.ballots, least, language),
               time_text(first.at, language), told(last.ballots, least, language),
               time_text(last.at, language)),
           R"(">
<path class="grid" d="M0 12H720M0 84H720M0 156H720"/>
<path class="area" d=")"_html,
           line,
           fmt::format("L{:.1f} {:.1f}L{:.1f} {:.1f}Z", scale.x(last.at), kBottom,
                       scale.x(first.at), kBottom),
           R"("/>
<path class="line" d=")"_html,
           line, R"("/>
</svg>
<p class="axis"><span>)"_html,
           time_element(first.at, language), "</span><span>"_html,
           told(scale.most, least, language), "</span><span>"_html, time_element(last.at, language),
           "</span></p>\n"_html);
}

void add_table(std::span<const TurnoutPoint> points, std::optional<std::uint64_t> least,
               Language language, Html& html) {
  html.add("<details>\n<summary>"_html, say(Text::turnout_table, language),
           "</summary>\n<table class=\"plain\">\n<thead><tr><th scope=\"col\">"_html,
           say(Text::moment, language), "</th><th scope=\"col\" class=\"n\">"_html,
           say(Text::ballots, language), "</th></tr></thead>\n<tbody>\n"_html);
  for (const auto& point : points)
    html.add("<tr><th scope=\"row\">"_html, time_element(point.at, language),
             "</th><td class=\"n\">"_html, told(point.ballots, least, language),
             "</td></tr>\n"_html);
  html.add("</tbody>\n</table>\n</details>\n"_html);
}

}  // namespace

Html turnout_chart(std::span<const TurnoutPoint> series, model::Instant as_of,
                   std::optional<std::uint64_t> least, Language language) {
  Html html;
  if (series.size() < kFewestPoints) return html;
  const auto points = thinned(series);
  html.add(R"(<section class="turnout" aria-labelledby="turnout">
<h2 id="turnout">)"_html,
           say(Text::turnout_over_time, language), "</h2>\n<p class=\"hint\">"_html,
           say(Text::as_of, language), " "_html, time_element(as_of, language), "</p>\n"_html);
  add_drawing(points, least, language, html);
  add_table(points, least, language, html);
  html.add("</section>\n"_html);
  return html;
}

}  // namespace veche::web
