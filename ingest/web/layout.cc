#include "ingest/web/layout.h"

#include <chrono>

#include "engine/model/limits.h"

namespace veche::web {
namespace {

constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

void add_head(const Reader& reader, const Page& page, Html& html) {
  html.add(R"(<!doctype html>
<html lang=")"_html,
           tag_of(reader.language), R"(">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>)"_html,
           page.title, R"( — Veche</title>
<link rel="stylesheet" href=")"_html,
           kStyle.path, R"(">
<link rel="icon" type="image/svg+xml" href=")"_html,
           kIcon.path, R"(">
<script src=")"_html,
           page.script.path, R"(" defer></script>
</head>
)"_html);
}

void add_links(const Reader& reader, const Page& page, Html& html) {
  const auto language = reader.language;
  html.add("<nav aria-label=\""_html, say(Text::site_navigation, language), "\">"_html);
  if (!page.is_operators)
    html.add("<a href=\""_html, link(reader, "/"), "\">"_html, say(Text::polls, language),
             "</a> "_html);
  const std::string_view other = language == Language::ru ? "en" : "ru";
  html.add("<a href=\""_html, reader.path, "?lang="_html, other, "\" lang=\""_html, other,
           "\" hreflang=\""_html, other, "\">"_html, say(Text::other_language, language),
           "</a></nav>\n"_html);
}

void add_header(const Reader& reader, const Page& page, Html& html) {
  html.add(
      R"(<a class="skip" href="#main">)"_html, say(Text::skip_to_content, reader.language),
      R"(</a>
<header class="top">
<div class="wrap">
<a class="brand" href=")"_html,
      page.is_operators ? reader.path : link(reader, "/"),
      R"("><svg aria-hidden="true" viewBox="0 0 24 24"><path d="M3 12h4v8H3zM10 4h4v16h-4zM17 9h4v11h-4z"/></svg>Veche</a>
)"_html);
  add_links(reader, page, html);
  html.add("</div>\n"_html);
  if (page.test_data)
    html.add(R"(<p class="banner"><span class="wrap">)"_html, say(Text::test_data, reader.language),
             "</span></p>\n"_html);
  html.add("</header>\n"_html);
}

void add_footer(const Reader& reader, const Page& page, Html& html) {
  html.add("<footer class=\"bottom\"><div class=\"wrap\"><p>"_html,
           say(Text::footer_once, reader.language));
  if (!page.is_operators)
    html.add(" <a href=\"/openapi.json\">"_html, say(Text::footer_interface, reader.language),
             "</a>"_html);
  html.add("</p></div></footer>\n</body>\n</html>\n"_html);
}

}  // namespace

Reader reader_of(const http::RequestHead& head, bool test_data) {
  Reader reader{wire::language(head.accept_language), false, test_data, std::string(head.path)};
  const auto chosen = head.query("lang");
  if (chosen == "ru" || chosen == "en") {
    reader.language = chosen == "ru" ? Language::ru : Language::en;
    reader.chose_language = true;
  }
  return reader;
}

std::string link(const Reader& reader, std::string path) {
  if (!reader.chose_language) return path;
  path += path.find('?') == std::string::npos ? "?lang=" : "&lang=";
  return path.append(tag_of(reader.language));
}

http::Response respond(std::uint16_t status, const Reader& reader, const Page& page) {
  Html html;
  add_head(reader, page, html);
  html.add("<body data-texts=\""_html, script_texts(reader.language), "\">\n"_html);
  add_header(reader, page, html);
  html.add(page.main);
  add_footer(reader, page, html);
  http::Response response{status, "text/html; charset=utf-8", std::move(html).take(), {}};
  response.with(http::Header::content_security_policy, std::string(kPolicy))
      .with(http::Header::referrer_policy, "same-origin")
      .with(http::Header::content_language, std::string(tag_of(reader.language)))
      .with(http::Header::cache_control, "no-cache")
      .with(http::Header::vary, "Accept, Accept-Language");
  return response;
}

http::Response error_page(std::uint16_t status, const Reader& asked) {
  auto reader = asked;
  reader.path.assign(1, '/');  // what was asked for is anybody's text, and may be no path of ours
  const auto heading = status == 404   ? Text::not_found_title
                       : status == 503 ? Text::unavailable_title
                                       : Text::faulty_request_title;
  const auto text = status == 404   ? Text::not_found
                    : status == 503 ? Text::unavailable
                                    : Text::faulty_request;
  const auto language = reader.language;
  Page page{.title = std::string(say(heading, language)), .main = {}};
  page.main.add(R"(<main id="main" class="wrap error" tabindex="-1">
<p class="code">)"_html,
                std::to_string(status), "</p>\n<h1>"_html, say(heading, language),
                "</h1>\n<p>"_html, say(text, language), "</p>\n"_html);
  if (asked.path.empty()) {
    const auto other = language == Language::ru ? Language::en : Language::ru;
    page.main.add("<div lang=\""_html, tag_of(other), "\"><h2>"_html, say(heading, other),
                  "</h2>\n<p>"_html, say(text, other), "</p></div>\n"_html);
  }
  page.main.add(R"(<p><a href=")"_html, link(reader, "/"), R"(">)"_html,
                say(Text::all_polls, language), "</a></p>\n</main>\n"_html);
  auto response = respond(status, reader, page);
  if (status == 503) {
    const auto wait = std::chrono::duration_cast<std::chrono::seconds>(limits::kRetryAfter);
    response.with(http::Header::retry_after, std::to_string(wait.count()));
  }
  return response;
}

http::Response asset_response(const Asset& asset) {
  http::Response response{200, asset.content_type, asset.body, {}};
  response.with(http::Header::cache_control, "public, max-age=31536000, immutable");
  return response;
}

}  // namespace veche::web
