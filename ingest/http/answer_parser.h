// Reads one answer, for the client and the load generator.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ingest/http/client.h"
#include "ingest/http/last_chunk.h"

namespace veche::http {

// Takes from an answer what the tools use, into an Answer whose memory is reused.
class AnswerParser final : public boost::beast::http::basic_parser<false> {
 public:
  explicit AnswerParser(Answer& answer) : answer_(answer) {
    body_limit(kAnswerBytes);
    header_limit(kAnswerHeaderBytes);
    eager(true);
    answer_.content_type.clear();
    answer_.etag.clear();
    answer_.retry_after.reset();
    answer_.body.clear();
  }

  // In place of basic_parser's.
  std::size_t put(boost::asio::const_buffer bytes, boost::system::error_code& error) {
    const std::string_view input(static_cast<const char*>(bytes.data()), bytes.size());
    if (!is_header_done() || !chunked() || !is_cut_last_chunk(input))
      return basic_parser::put(bytes, error);
    error = boost::beast::http::error::need_more;
    return 0;
  }

 private:
  static constexpr std::uint64_t kAnswerBytes = std::uint64_t{1} << 30;
  static constexpr std::uint32_t kAnswerHeaderBytes = 64 * 1'024;

  using string_view = boost::beast::string_view;
  using error_code = boost::system::error_code;
  void on_request_impl(boost::beast::http::verb, string_view, string_view, int,
                       error_code&) override {}
  void on_response_impl(int status, string_view, int, error_code&) override {
    answer_.status = status;
  }
  void on_field_impl(boost::beast::http::field name, string_view, string_view value,
                     error_code&) override {
    using Field = boost::beast::http::field;
    if (name == Field::content_type) answer_.content_type.assign(value.data(), value.size());
    if (name == Field::etag) answer_.etag.assign(value.data(), value.size());
    std::int32_t seconds = 0;
    if (name == Field::retry_after &&
        std::from_chars(value.data(), value.data() + value.size(), seconds).ec == std::errc{})
      answer_.retry_after = std::chrono::seconds(seconds);
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view piece, error_code&) override {
    answer_.body.append(piece.data(), piece.size());
    return piece.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view piece, error_code& error) override {
    return on_body_impl(piece, error);
  }
  void on_finish_impl(error_code&) override {}

  Answer& answer_;
};

}  // namespace veche::http
