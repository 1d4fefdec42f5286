// Polls: reading for everybody, and their life for staff.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ingest/api/app.h"
#include "ingest/api/staff.h"

namespace veche::api {

class Polls {
 public:
  explicit Polls(Local& local) : local_(local) {}

  void list(const http::Request& request, http::Responder responder);
  void show(std::string_view poll, http::Responder responder);
  void create(const http::Request& request, http::Responder responder);
  // {"action": "open" | "close" | "cancel", "reason": "..."}
  void transition(const http::Request& request, std::string_view poll, http::Responder responder);

 private:
  void change(node::PollChangeRequest request, http::Responder responder);
  void answer(const node::PollChangeRequest& request, const node::ChangeResult& result,
              http::Responder responder);

  Local& local_;
};

}  // namespace veche::api
