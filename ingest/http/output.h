// What a connection is to be sent, in order. Short texts are put together, so that many answers
// leave in one write; a longer body stays where it lies and is written from there. Belongs to its
// worker's thread.
#pragma once

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/http/coroutine.h"
#include "ingest/http/held_bytes.h"
#include "ingest/http/response.h"

namespace veche::http {

// Without it the kernel takes megabytes for a client that does not read.
void bound_unsent_bytes(Socket& socket, int bytes);

// Whether a body is put together with other texts; else it is written from where it lies.
bool is_copied(const Body& body);

class Output {
 public:
  // What is not written yet is counted in `owed`.
  explicit Output(HeldBytes& owed) : owed_(owed), text_part_(owed) {}

  void append(std::string_view text) {
    text_ += text;
    text_part_.set(text_.size());
  }
  void append(Response&& response, Framing framing);

  bool empty() const { return size() == 0; }
  std::size_t size() const { return text_.size() + frame_bytes_; }
  bool is_written() const { return written_ == size(); }

  // Writes a part of the rest, as much as the socket takes and leaves others their turn. Nothing
  // may be appended between the first part and clear.
  boost::system::error_code write_some(Socket& socket);
  void clear();

  std::size_t written_bytes() const { return written_; }

  // The rest, in order.
  std::vector<std::string_view> rest() const;

 private:
  struct Place {
    std::size_t text_bytes_before;
    Frame frame;
    HeldBytes::Held held;
  };

  template <class F>
  void for_each_piece(F&& f) const;

  HeldBytes& owed_;
  std::string text_;
  HeldBytes::Part text_part_;
  std::vector<Place> frames_;
  std::size_t frame_bytes_ = 0;
  std::size_t written_ = 0;
};

}  // namespace veche::http
