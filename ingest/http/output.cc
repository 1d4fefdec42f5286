#include "ingest/http/output.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/container/static_vector.hpp>
#include <utility>

#include "ingest/http/limits.h"

namespace veche::http {
namespace {

constexpr std::size_t kBuffersOfOneWrite = 64;  // as many as asio passes on

}  // namespace

void bound_unsent_bytes(Socket& socket, int bytes) {
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

bool is_copied(const Body& body) {
  return body.size() <= (body.is_shared() ? limits::kCopiedFrameBytes : limits::kCopiedBodyBytes);
}

void Output::append(Response&& response, Framing framing) {
  const auto& body = response.body;
  append_header(response, framing, text_);
  const bool is_sent = sends_body(response, framing);
  const bool is_text = is_sent && is_copied(body);
  append(is_text ? body.view() : std::string_view());
  if (!is_sent || is_text) return;
  const Frame& frame = response.body.share();
  frames_.push_back({text_.size(), frame, {owed_, frame}});
  frame_bytes_ += body.size();
}

template <class F>
void Output::for_each_piece(F&& f) const {
  std::size_t skipped = 0;
  const auto give = [&](std::string_view piece) {
    const auto written = std::min(written_ - skipped, piece.size());
    skipped += written;
    if (written < piece.size()) f(piece.substr(written));
  };
  const std::string_view text = text_;
  std::size_t given = 0;
  for (const auto& [text_bytes_before, frame, held] : frames_) {
    give(text.substr(given, text_bytes_before - given));
    give(*frame);
    given = text_bytes_before;
  }
  give(text.substr(given));
}

boost::system::error_code Output::write_some(Socket& socket) {
  boost::container::static_vector<boost::asio::const_buffer, kBuffersOfOneWrite> buffers;
  std::size_t left = limits::kBytesOfOneWrite;
  for_each_piece([&](std::string_view piece) {
    if (left == 0 || buffers.size() == buffers.capacity()) return;
    buffers.push_back(boost::asio::buffer(piece.substr(0, left)));
    left -= buffers.back().size();
  });
  boost::system::error_code error;
  written_ += socket.write_some(buffers, error);
  return error;
}

void Output::clear() {
  text_.clear();
  text_part_.set(0);
  if (text_.capacity() > limits::kIdleBufferBytes) std::string().swap(text_);
  frames_.clear();
  frame_bytes_ = written_ = 0;
}

std::vector<std::string_view> Output::rest() const {
  std::vector<std::string_view> pieces;
  for_each_piece([&](std::string_view piece) { pieces.push_back(piece); });
  return pieces;
}

}  // namespace veche::http
