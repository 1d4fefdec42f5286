// The final result of a poll, frozen: made once by a certifier, and given out from then on as the
// same bytes by every node.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/api/app.h"
#include "ingest/api/staff.h"

namespace veche::api {

class Certificates {
 public:
  explicit Certificates(Local& local) : local_(local) {}

  struct Asked {
    model::PollId poll;
    std::optional<std::uint32_t> version;  // of the definition, where the certifier names one
    std::string by;
    std::string reason;
  };
  // Of somebody who may. A poll that is certified already is answered as if it were done now.
  void certify(Asked asked, http::Responder responder);

  void show(const http::Request& request, std::string_view poll, http::Responder responder);
  void document(const http::Request& request, std::string_view poll, http::Responder responder);

 private:
  void collect(Asked asked, http::Responder responder);
  void freeze(const Asked& asked, const node::Collected& collected, http::Responder responder);

  // Makes an answer of the document.
  using Answer = std::function<http::Response(const http::Response&)>;
  void ask(const std::shared_ptr<const model::PollEntry>& poll, const http::Responder& responder,
           Answer answer);
  static http::Response unpack(const model::Certificate& certificate);
  static Result<node::CertifyRequest, http::Response> request_of(const Asked& asked,
                                                                 const node::Collected& collected);

  Local& local_;
};

}  // namespace veche::api
