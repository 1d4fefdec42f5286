// The territory tree: reading for everybody, a new version by an operator.
#pragma once

#include <optional>

#include "ingest/api/app.h"

namespace veche::api {

class Territories {
 public:
  explicit Territories(Local& local) : local_(local) {}

  void get(const http::Request& request, http::Responder responder);
  void put(const http::Request& request, http::Responder responder);
  // Who may not put a tree, whatever it is.
  static std::optional<http::Response> refuse_put(const auth::StaffClaims& claims);

 private:
  Local& local_;
};

}  // namespace veche::api
