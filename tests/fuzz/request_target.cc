// A request's bytes come to the same, whole or in two pieces; and the target alone.
#include "engine/model/assert.h"
#include "engine/model/limits.h"
#include "ingest/http/limits.h"
#include "ingest/http/request_parser.h"
#include "tests/fuzz/target.h"

namespace veche::fuzz {
namespace {

using http::HeldBytes;
using http::RequestHead;
using http::RequestMemory;
using http::RequestParser;
using Progress = RequestParser::Progress;

constexpr std::size_t kBodyBytes = 4'096;

// A connection's side of a request: what was received and not taken yet, and how far it is.
struct Reading {
  HeldBytes received{limits::kBodyBytesPerThread};
  RequestMemory memory{received};
  RequestParser parser{memory};
  std::string input;
  bool has_header = false;
  Progress progress = Progress::need_more;

  void receive(std::string_view piece) {
    input += piece;
    if (progress != Progress::need_more) return;
    std::string_view rest = input;
    if (!has_header) {
      progress = parser.parse_header(rest);
      has_header = progress == Progress::done;
      if (has_header) parser.limit_body(kBodyBytes);
    }
    if (has_header && !parser.is_done()) progress = parser.parse_body(rest);
    input.erase(0, input.size() - rest.size());
  }
};

bool has_control(std::string_view text) {
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7F) return true;
  return false;
}

void check(const RequestHead& head) {
  VECHE_ASSERT(head.path.starts_with('/'), "a path begins with a slash");
  VECHE_ASSERT(!has_control(head.path), "a path has no control bytes");
  for (std::size_t i = 0; i < head.parameter_count; ++i) {
    const auto& parameter = head.parameters[i];
    VECHE_ASSERT(head.query(parameter.name) == parameter.value, "no parameter is there twice");
    VECHE_ASSERT(!has_control(parameter.value), "a parameter has no control bytes");
  }
}

bool equal(const RequestHead& left, const RequestHead& right) {
  return left.method == right.method && left.path == right.path &&
         left.authorization == right.authorization && left.content_type == right.content_type &&
         left.content_encoding == right.content_encoding && left.accept == right.accept &&
         left.accept_language == right.accept_language &&
         left.if_none_match == right.if_none_match && left.if_match == right.if_match &&
         left.content_length == right.content_length && left.has_body == right.has_body &&
         left.parameter_count == right.parameter_count;
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const std::size_t cut = static_cast<unsigned char>(input.back());
  input.remove_suffix(1);

  Reading whole;
  whole.receive(input);
  if (whole.has_header) check(whole.parser.head());

  Reading pieces;
  pieces.receive(input.substr(0, cut));
  pieces.receive(input.substr(std::min(cut, input.size())));
  VECHE_ASSERT((whole.progress == Progress::done) == (pieces.progress == Progress::done),
               "a request is whole however it arrives");
  if (whole.progress == Progress::done) {
    VECHE_ASSERT(equal(whole.parser.head(), pieces.parser.head()), "the same header");
    VECHE_ASSERT(whole.parser.body() == pieces.parser.body(), "the same body");
    VECHE_ASSERT(whole.parser.body().size() <= kBodyBytes, "no longer than it may be");
    VECHE_ASSERT(whole.input == pieces.input, "the next request begins at the same byte");
  }

  HeldBytes received{limits::kBodyBytesPerThread};
  RequestMemory memory(received);
  RequestHead head;
  if (http::decode_target(input.substr(0, limits::kHeaderBytes), memory, head)) check(head);
}

}  // namespace veche::fuzz
