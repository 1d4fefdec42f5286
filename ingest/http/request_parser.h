// Parses one request from bytes as they arrive. Keeps no container of headers: the few that Veche
// uses are copied into memory that is reused by all requests of a connection, the rest is only
// checked for form.
#pragma once

#include <array>
#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/http/held_bytes.h"
#include "ingest/http/request.h"

namespace veche::http {

// Headers in use that are lists.
inline constexpr std::size_t kListHeaders = 4;

// What outlives the requests of a connection, one after the other.
class RequestMemory {
 public:
  // Bodies that are not short are counted in `received`.
  explicit RequestMemory(HeldBytes& received) : received_(received), part_(received) {}

  // Empties everything; large memory is given back.
  void clear();

  // Copies text to where it stays until clear. The texts of one header never exceed the header.
  std::string_view keep(std::string_view text);
  // The lines of a list header as one list: what is there so far, and the next line.
  std::string_view join(std::size_t list, std::string_view so_far, std::string_view more);
  // Of a body that is announced to have so many bytes, or 0. False: there is no room for it.
  bool append_body(std::string_view piece, std::size_t announced_bytes);
  std::string_view body() const { return {body_.data(), body_.size()}; }

 private:
  std::array<char, limits::kHeaderBytes> texts_;
  std::size_t texts_bytes_ = 0;
  std::array<std::string, kListHeaders> lists_;  // of those that came on several lines
  HeldBytes& received_;
  HeldBytes::Part part_;
  std::vector<char> body_;  // kBodyPadding bytes behind it are allocated, too
};

// Splits and decodes a request target into head's path and parameters. False: not well formed
// (bad percent-encoding, control bytes, a name given twice, too many parameters).
bool decode_target(std::string_view target, RequestMemory& memory, RequestHead& head);

class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  enum class Progress : std::uint8_t {
    done,
    need_more,
    malformed,  // see fault()
    too_large,  // the header for limits::kHeaderBytes, or the body for its limit
    no_room,    // too much is being received already
  };

  // `memory` must not be used by anything else while the parser lives.
  explicit RequestParser(RequestMemory& memory);

  // Parse the header; then the body. Both take the bytes that they used off the front of `input`.
  Progress parse_header(std::string_view& input);
  Progress parse_body(std::string_view& input);

  // Before parse_body: how long the body may be, or that its bytes are of no interest.
  void limit_body(std::size_t bytes) { body_limit_bytes_ = bytes; }
  void discard_body() { discards_body_ = true; }

  // Valid once the header is done.
  const RequestHead& head() const { return head_; }
  bool is_http_1_0() const { return version_ == 10; }
  // The client holds its body back until it is told to continue.
  bool expects_continue() const { return expects_continue_; }
  bool expects_the_unknown() const { return expects_the_unknown_; }

  std::string_view body() const { return memory_.body(); }
  std::string_view fault() const { return fault_; }  // English, for people

 private:
  using error_code = boost::beast::error_code;
  using string_view = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb method, string_view method_text, string_view target,
                       int version, error_code& error) override;
  void on_field_impl(boost::beast::http::field name, string_view name_text, string_view value,
                     error_code& error) override;
  void on_header_impl(error_code& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view piece, error_code& error) override;
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view piece, error_code& error) override;
  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, string_view, int, error_code&) override {}

  Progress outcome(const error_code& error);
  void refuse(const char* fault, error_code& error);
  void take_framing_field(bool& seen, bool well_formed, error_code& error);

  RequestMemory& memory_;
  RequestHead head_;
  std::size_t header_bytes_ = 0;
  std::size_t body_limit_bytes_ = 0;
  std::string_view fault_;
  int version_ = 11;
  bool has_host_ = false;
  bool has_content_length_ = false;
  bool has_transfer_encoding_ = false;
  bool expects_continue_ = false;
  bool expects_the_unknown_ = false;
  bool discards_body_ = false;
  bool has_no_room_ = false;
};

}  // namespace veche::http
