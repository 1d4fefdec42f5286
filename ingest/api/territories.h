// The territory tree: reading for everybody, a new version by an operator.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/date.h"
#include "engine/model/result.h"
#include "ingest/api/app.h"

namespace veche::api {

// Belongs to its HTTP thread.
class Territories {
 public:
  explicit Territories(Local& local) : local_(local) {}

  void get(const http::Request& request, http::Responder responder);
  void put(const http::Request& request, http::Responder responder);
  // Who may not put a tree, whatever it is.
  static std::optional<http::Response> refuse_put(const auth::StaffClaims& claims);

 private:
  // A tree as somebody asks to have it.
  struct Asked {
    model::Date valid_from;
    std::string by;
    bool is_sure = false;  // whatever is doubtful about it
  };
  static Result<std::string, http::Response> read_sent(std::string_view body, bool is_sure);
  void add(std::string csv, const Asked& asked, http::Responder responder);
  static http::Response answer(const node::ChangeResult& result);

  Local& local_;
  std::size_t being_read_ = 0;
};

}  // namespace veche::api
