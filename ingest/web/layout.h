// What all pages have around their contents: head, header, footer, and the headers that keep a
// browser from running or loading anything that is not this program's own.
#pragma once

#include <cstdint>
#include <string>

#include "ingest/http/request.h"
#include "ingest/http/response.h"
#include "ingest/web/assets.h"
#include "ingest/web/html.h"
#include "ingest/web/texts.h"

namespace veche::web {

// For whom a page is made: equal readers of equal pages get equal bytes.
struct Reader {
  Language language = Language::en;
  bool chose_language = false;  // by ?lang=: links keep it
  bool test_data = false;
  std::string path;  // of the page, for the link to its other language
  friend auto operator<=>(const Reader&, const Reader&) = default;
};

// `lang` of the query, else Accept-Language; another `lang` than ru and en counts as none.
Reader reader_of(const http::RequestHead& head, bool test_data);

// A link to a page of ours in the reader's language. `path` may have a query.
std::string link(const Reader& reader, std::string path);

struct Page {
  std::string title;  // says the state, too
  Html main;          // a <main id="main">
  const Asset& script = kPageScript;
  bool test_data = false;
  bool is_operators = false;  // on the operator's listener, which has no polls to link to
};

http::Response respond(std::uint16_t status, const Reader& reader, const Page& page);

// 400, 404 and 503 for people; in both languages for a reader without a path, of whom nothing is
// known any more.
http::Response error_page(std::uint16_t status, const Reader& asked);

http::Response asset_response(const Asset& asset);

}  // namespace veche::web
