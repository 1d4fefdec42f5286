// The HTTP interface as one handler for each thread: admission by the head, then dispatch.
#pragma once

#include <functional>
#include <string>

#include "ingest/api/app.h"
#include "ingest/api/ballots.h"
#include "ingest/api/certificates.h"
#include "ingest/api/life.h"
#include "ingest/api/polls.h"
#include "ingest/api/results.h"
#include "ingest/api/routes.h"
#include "ingest/api/streams.h"
#include "ingest/api/territories.h"
#include "ingest/web/pages.h"

namespace veche::api {

// The document behind /openapi.json.
extern const std::string_view kOpenApi;

class Api final : public http::Handler {
 public:
  Api(App& app, http::Worker& worker);

  http::Admission head(const http::RequestHead& head) override;
  void handle(const http::Request& request, http::Responder responder) override;
  http::Response on_too_many(const http::RequestHead& head) override;
  http::Response on_deadline(http::Route route) override;
  void reader_gone(const http::Reader& reader) override { streams_.reader_gone(reader); }

 private:
  std::optional<http::Response> refuse(RouteId route, const http::RequestHead& head);
  http::Response nowhere(const http::RequestHead& head, std::string_view allow) const;
  std::optional<http::Response> refuse_page(RouteId route, const http::RequestHead& head);
  std::optional<http::Response> refuse_token(RouteId route, const http::RequestHead& head);

  Local local_;
  Results results_;
  Ballots ballots_;
  Polls polls_;
  Certificates certificates_;
  Life life_;
  Streams streams_;
  Territories territories_;
  web::Pages pages_;
};

// The listener of the operator: /metrics, and the page /load with what belongs to it. The public
// must not see how many ballots come in, for the only poll that is open may be a hidden one.
class MetricsApi final : public http::Handler {
 public:
  MetricsApi(Metrics& metrics, std::function<EngineFacts()> facts)
      : metrics_(metrics), facts_(std::move(facts)) {}

  http::Admission head(const http::RequestHead& head) override;
  void handle(const http::Request& request, http::Responder responder) override;
  http::Response on_deadline(http::Route route) override;

 private:
  Metrics& metrics_;
  const std::function<EngineFacts()> facts_;
};

}  // namespace veche::api
