#include "ingest/web/load_page.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

namespace veche::web {
namespace {

namespace json = boost::json;

std::uint64_t whole(double value) { return static_cast<std::uint64_t>(std::llround(value)); }

void add_tile(Text text, std::string_view id, std::string_view value, Language language,
              Html& html) {
  html.add("<p class=\"figure\"><span>"_html, say(text, language), "</span> <strong id=\""_html, id,
           "\">"_html, value, "</strong></p>\n"_html);
}

void add_tiles(const api::Load& load, Language language, Html& html) {
  html.add("<div class=\"tiles\">\n"_html);
  add_tile(Text::ballots_per_second, "ballots-rate", "–", language, html);
  add_tile(Text::p99, "p99", "–", language, html);
  add_tile(Text::requests_per_second, "requests-rate", "–", language, html);
  add_tile(Text::connections, "connections", number(whole(load.connections), language), language,
           html);
  add_tile(Text::cpu_cores, "cores", "–", language, html);
  add_tile(Text::readiness, "readiness", say(load.ready ? Text::ready : Text::not_ready, language),
           language, html);
  html.add("</div>\n"_html);
}

// Empty until the script has something to draw.
void add_chart(Language language, Html& html) {
  html.add(R"(<section id="recent" aria-labelledby="recent-title" hidden>
<h2 id="recent-title">)"_html,
           say(Text::last_minutes, language), R"(</h2>
<svg class="chart" viewBox="0 0 720 180" aria-hidden="true"><path class="grid" d="M0 12H720M0 84H720M0 156H720"/><path class="area" d=""/><path class="line" d=""/></svg>
<p class="axis"><span>–2:00</span><span id="recent-most"></span><span>0:00</span></p>
<details>
<summary>)"_html,
           say(Text::load_table, language),
           R"(</summary>
<table class="plain"><thead><tr><th scope="col">)"_html,
           say(Text::moment, language), R"(</th><th scope="col" class="n">)"_html,
           say(Text::per_second, language),
           R"(</th></tr></thead><tbody id="recent-rows"></tbody></table>
</details>
</section>
)"_html);
}

void add_outcomes(const api::Load& load, Language language, Html& html) {
  html.add(R"(<section aria-labelledby="outcomes">
<h2 id="outcomes">)"_html,
           say(Text::outcomes, language), R"(</h2>
<table class="plain">
<thead><tr><th scope="col">)"_html,
           say(Text::outcome, language), R"(</th><th scope="col" class="n">)"_html,
           say(Text::per_second, language), R"(</th><th scope="col" class="n">)"_html,
           say(Text::since_start, language), "</th></tr></thead>\n<tbody>\n"_html);
  for (const auto& outcome : load.outcomes)
    html.add("<tr data-outcome=\""_html, outcome.code, "\"><th scope=\"row\"><code>"_html,
             outcome.code, "</code></th><td class=\"n rate\">–</td><td class=\"n sum\">"_html,
             number(whole(outcome.ballots), language), "</td></tr>\n"_html);
  html.add("</tbody>\n</table>\n</section>\n"_html);
}

}  // namespace

http::Response load_page(const api::Load& load, const Reader& reader) {
  const auto language = reader.language;
  Page page{.title = std::string(say(Text::load_title, language)),
            .main = {},
            .script = kLoadScript,
            .is_operators = true};
  page.main.add(R"(<main id="main" class="wrap" tabindex="-1">
<h1>)"_html,
                say(Text::load_title, language), "</h1>\n<p class=\"over\">"_html,
                say(Text::load_note, language), "</p>\n<noscript><p class=\"hint\">"_html,
                say(Text::load_needs_script, language), "</p></noscript>\n"_html);
  page.main.add("<p id=\"trouble\" class=\"notice stalled\" role=\"status\" hidden>"_html,
                say(Text::stalled, language), "</p>\n"_html);
  add_tiles(load, language, page.main);
  add_chart(language, page.main);
  add_outcomes(load, language, page.main);
  page.main.add("</main>\n"_html);
  return respond(200, reader, page);
}

http::Response load_json(const api::Load& load) {
  json::object ballots;
  for (const auto& outcome : load.outcomes) ballots[outcome.code] = whole(outcome.ballots);
  json::array latency;
  for (const auto& bucket : load.latency)
    latency.push_back(json::object{
        {"seconds", std::isinf(bucket.seconds) ? json::value() : json::value(bucket.seconds)},
        {"ballots", whole(bucket.ballots)}});
  http::Response response{200,
                          "application/json",
                          json::serialize(json::object{{"ready", load.ready},
                                                       {"connections", whole(load.connections)},
                                                       {"requests", whole(load.requests)},
                                                       {"cpu_seconds", load.cpu_seconds},
                                                       {"ballots", std::move(ballots)},
                                                       {"latency", std::move(latency)}}),
                          {}};
  response.with(http::Header::cache_control, "no-store");
  return response;
}

}  // namespace veche::web
