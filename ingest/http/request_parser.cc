#include "ingest/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>

#include "engine/model/assert.h"
#include "ingest/http/last_chunk.h"
#include "ingest/http/limits.h"

namespace veche::http {
namespace {

namespace beast = boost::beast;

std::string_view std_view(beast::string_view text) { return {text.data(), text.size()}; }

bool is_all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Method method_of(beast::http::verb verb) {
  using Verb = beast::http::verb;
  switch (verb) {
    case Verb::get:
      return Method::get;
    case Verb::head:
      return Method::head;
    case Verb::post:
      return Method::post;
    case Verb::put:
      return Method::put;
    case Verb::patch:
      return Method::patch;
    case Verb::delete_:
      return Method::del;
    case Verb::options:
      return Method::options;
    default:
      return Method::other;
  }
}

// Where the value of a header goes; null for one that Veche does not use. Several lines of a list
// are one list (RFC 9110 5.3); any other header comes once.
struct Place {
  std::string_view* value = nullptr;
  std::optional<std::size_t> list;
};

Place place_of(beast::http::field name, RequestHead& head) {
  using beast::http::field;
  switch (name) {
    case field::authorization:
      return {&head.authorization, {}};
    case field::content_type:
      return {&head.content_type, {}};
    case field::content_encoding:
      return {&head.content_encoding, {}};  // one coding is all that a body may have
    case field::accept:
      return {&head.accept, 0};
    case field::accept_language:
      return {&head.accept_language, 1};
    case field::if_none_match:
      return {&head.if_none_match, 2};
    case field::if_match:
      return {&head.if_match, 3};
    default:
      return {};
  }
}

}  // namespace

void RequestMemory::clear() {
  texts_bytes_ = 0;
  for (auto& list : lists_)
    if (!list.empty()) std::string().swap(list);
  body_.clear();
  if (body_.capacity() > limits::kIdleBufferBytes) std::vector<char>().swap(body_);
  part_.set(0);
}

std::string_view RequestMemory::keep(std::string_view text) {
  VECHE_ASSERT(text.size() <= texts_.size() - texts_bytes_, "the header was limited before");
  char* const place = texts_.data() + texts_bytes_;
  std::copy(text.begin(), text.end(), place);
  texts_bytes_ += text.size();
  return {place, text.size()};
}

std::string_view RequestMemory::join(std::size_t list, std::string_view so_far,
                                     std::string_view more) {
  auto& joined = lists_[list];
  if (joined.empty()) joined = so_far;
  if (!joined.empty()) joined += ", ";
  return joined += more;
}

// What is announced is not believed: memory grows with what has come, but never beyond it.
bool RequestMemory::append_body(std::string_view piece, std::size_t announced_bytes) {
  const auto needed = body_.size() + piece.size() + kBodyPadding;
  if (needed > body_.capacity()) {
    const auto announced = announced_bytes + kBodyPadding;
    const auto twice = 2 * body_.capacity();
    const auto wanted = announced >= needed ? std::min(twice, announced) : twice;
    const auto capacity = std::max(needed, wanted);
    const bool is_short = capacity <= limits::kShortBodyBytes + kBodyPadding;
    if (!is_short && capacity - body_.capacity() > received_.room()) return false;
    body_.reserve(capacity);
    if (!is_short) part_.set(capacity);
  }
  body_.insert(body_.end(), piece.begin(), piece.end());
  return true;
}

RequestParser::RequestParser(RequestMemory& memory) : memory_(memory) {
  memory_.clear();
  body_limit(boost::none);  // on_body_impl holds the limit, known after the header
  header_limit(limits::kHeaderBytes);
}

// Beast limits what it is given at once, not the header as a whole: the bytes are counted here.
RequestParser::Progress RequestParser::parse_header(std::string_view& input) {
  const std::string_view allowed = input.substr(0, limits::kHeaderBytes - header_bytes_);
  error_code error;
  const std::size_t used = put(boost::asio::const_buffer(allowed.data(), allowed.size()), error);
  input.remove_prefix(used);
  header_bytes_ += used;
  const Progress progress = is_header_done() && !error ? Progress::done : outcome(error);
  const bool is_full = header_bytes_ + (allowed.size() - used) == limits::kHeaderBytes;
  return progress == Progress::need_more && is_full ? Progress::too_large : progress;
}

RequestParser::Progress RequestParser::parse_body(std::string_view& input) {
  if (chunked() && is_cut_last_chunk(input)) return Progress::need_more;
  eager(true);
  error_code error;
  const std::size_t used = put(boost::asio::const_buffer(input.data(), input.size()), error);
  input.remove_prefix(used);
  if (is_done()) return Progress::done;
  const Progress progress = outcome(error);
  if (progress == Progress::need_more && input.size() > limits::kChunkHeaderBytes) {
    fault_ = "a chunk's header or the trailers are too long";
    return Progress::malformed;
  }
  return progress;
}

RequestParser::Progress RequestParser::outcome(const error_code& error) {
  using Error = beast::http::error;
  if (!error || error == Error::need_more) return Progress::need_more;
  if (has_no_room_) return Progress::no_room;
  if (error == Error::header_limit || error == Error::body_limit) return Progress::too_large;
  if (fault_.empty()) fault_ = "this is not a well-formed HTTP/1.1 request";
  return Progress::malformed;
}

void RequestParser::refuse(const char* fault, error_code& error) {
  fault_ = fault;
  error = beast::http::error::bad_field;
}

void RequestParser::on_request_impl(beast::http::verb method, string_view, string_view target,
                                    int version, error_code& error) {
  head_.method = method_of(method);
  version_ = version;
  if (!decode_target(std_view(target), memory_, head_)) refuse("bad request target", error);
}

void RequestParser::on_field_impl(beast::http::field name, string_view, string_view value,
                                  error_code& error) {
  using beast::http::field;
  if (is_header_done()) return;  // a trailer says nothing about the request
  switch (name) {
    case field::host:
      return take_framing_field(has_host_, true, error);
    case field::content_length:
      return take_framing_field(has_content_length_, is_all_digits(std_view(value)), error);
    case field::transfer_encoding:
      return take_framing_field(has_transfer_encoding_,
                                version_ == 11 && beast::iequals(value, "chunked"), error);
    case field::expect:
      if (version_ == 10) return;
      if (beast::iequals(value, "100-continue"))
        expects_continue_ = true;
      else
        expects_the_unknown_ = true;
      return;
    default:
      break;
  }
  const auto [place, list] = place_of(name, head_);
  if (place == nullptr) return;
  if (place->data() == nullptr)
    *place = memory_.keep(std_view(value));
  else if (list)
    *place = memory_.join(*list, *place, std_view(value));
  else
    refuse("a header that is no list is given twice", error);
}

// Whoever frames a message differently than the proxy in front sees a request that it did not.
void RequestParser::take_framing_field(bool& seen, bool well_formed, error_code& error) {
  if (seen || !well_formed)
    refuse("Host, Content-Length or Transfer-Encoding is given twice or is malformed", error);
  seen = true;
}

void RequestParser::on_header_impl(error_code& error) {
  if (!has_host_ && version_ == 11) return refuse("the Host header is missing", error);
  if (const auto length = content_length()) head_.content_length = *length;
  head_.has_body = chunked() || head_.content_length.value_or(0) > 0;
}

std::size_t RequestParser::on_body_impl(string_view piece, error_code& error) {
  if (discards_body_) return piece.size();
  if (piece.size() > body_limit_bytes_ - memory_.body().size()) {
    error = beast::http::error::body_limit;
    return 0;
  }
  has_no_room_ = !memory_.append_body(std_view(piece), head_.content_length.value_or(0));
  if (has_no_room_) error = beast::http::error::body_limit;
  return has_no_room_ ? 0 : piece.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, string_view piece, error_code& error) {
  return on_body_impl(piece, error);
}

}  // namespace veche::http
