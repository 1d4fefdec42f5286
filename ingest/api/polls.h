// Polls as they are read: one, many, and what became of one. Drafts are shown to staff alone.
#pragma once

#include <string_view>

#include "ingest/api/app.h"

namespace veche::api {

class Polls {
 public:
  explicit Polls(Local& local) : local_(local) {}

  void list(const http::Request& request, http::Responder responder);
  void show(const http::Request& request, std::string_view poll, http::Responder responder);
  void history(const http::Request& request, std::string_view poll, http::Responder responder);

 private:
  Local& local_;
};

// The poll as it is now. Of a draft the ETag is what If-Match asks for when it is edited.
http::Response poll_response(std::uint16_t status, const model::PollEntry& poll);

}  // namespace veche::api
