#include "ingest/api/certificates.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "engine/publish/snapshot.h"
#include "ingest/api/life.h"
#include "ingest/api/polls.h"
#include "ingest/api/visible.h"
#include "ingest/auth/digest.h"
#include "ingest/http/problem.h"
#include "ingest/wire/content_coding.h"
#include "ingest/wire/poll_json.h"
#include "ingest/wire/results.h"
#include "ingest/wire/time.h"

namespace veche::api {
namespace {

namespace json = boost::json;

// What is certified: the whole result as everybody will see it. nullopt: it is not final.
std::optional<std::string> final_document(const node::Collected& collected) {
  const auto published = publish::publish(collected, publish::Viewer::certifier);
  const auto* snapshot = std::get_if<publish::Snapshot>(&published);
  if (!snapshot || !snapshot->is_final) return std::nullopt;
  wire::TerritoryFilter everything;
  everything.by_territory = true;
  return wire::results_json(*snapshot, everything);
}

std::string sha256_of(std::string_view document) {
  const auto bytes = auth::sha256(document);
  return {bytes.begin(), bytes.end()};
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const auto byte : bytes)
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<std::uint8_t>(byte));
  return text;
}

http::Response not_certified() {
  return http::problem(404, "not-certified", "The result of this poll is not certified.");
}
http::Response broken() {
  return http::problem(500, "certificate-broken",
                       "The log does not hold what the certificate says.");
}
http::Response too_large() {
  return http::problem(
      409, "limit-reached",
      fmt::format("A certified result has at most {} bytes.", limits::kCertifiedDocumentBytes));
}

}  // namespace

void Certificates::certify(Asked asked, http::Responder responder) {
  const auto look = [this, asked, responder](bool behind_barrier) {
    const auto poll = local_.directory().find(asked.poll);
    if (poll->phase == model::PollPhase::certified) {
      responder.send(poll_response(200, *poll));
      return true;
    }
    if (poll->phase == model::PollPhase::closed) {
      collect(asked, responder);
      return true;
    }
    if (behind_barrier) responder.send(refused_change({node::ChangeOutcome::wrong_phase, poll, 0}));
    return behind_barrier;
  };
  if (look(false)) return;
  local_.app.node.barrier([&worker = local_.worker, look, responder](bool passed) {
    worker.post([look, responder, passed] {
      if (passed)
        look(true);
      else
        responder.send(unknown_change());
    });
  });
}

void Certificates::collect(Asked asked, http::Responder responder) {
  // What is frozen must not hold a ballot that the log may yet lose.
  local_.app.node.collect(
      asked.poll, [this, &worker = local_.worker, asked, responder](node::Collected collected) {
        local_.app.node.when_durable(collected,
                                     [this, &worker, asked, responder, collected](bool durable) {
                                       worker.post([this, asked, responder, collected, durable] {
                                         if (!durable) return responder.send(unknown_change());
                                         freeze(asked, collected, responder);
                                       });
                                     });
      });
}

void Certificates::freeze(const Asked& asked, const node::Collected& collected,
                          http::Responder responder) {
  const auto document = final_document(collected);
  if (!document)
    return responder.send(
        http::problem(409, "not-final", "The last ballots are still being counted: ask again."));
  if (document->size() > limits::kCertifiedDocumentBytes) return responder.send(too_large());
  node::CertifyRequest request{asked.poll,
                               asked.version.value_or(collected.poll->version),
                               wire::compress_zstd(*document),
                               sha256_of(*document),
                               asked.by,
                               asked.reason};
  if (request.compressed.size() > limits::kCertificateBytes) return responder.send(too_large());
  local_.app.node.certify(std::move(request), [&worker = local_.worker,
                                               responder](node::ChangeResult result) {
    worker.post([responder, result] {
      responder.send(result.outcome == node::ChangeOutcome::done ? poll_response(200, *result.poll)
                                                                 : refused_change(result));
    });
  });
}

void Certificates::show(const http::Request& request, std::string_view poll,
                        http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  if (!entry->certificate) return responder.send(not_certified());
  const auto& certificate = *entry->certificate;
  const auto* const document = document_of(certificate);
  if (!document) return responder.send(broken());
  responder.send(json_response(
      200, json::serialize(json::object{{"poll", entry->definition->id.str()},
                                        {"sha256", hex(certificate.sha256)},
                                        {"certified_by", certificate.by},
                                        {"certified_at", wire::format_time(certificate.at)},
                                        {"bytes", document->size()}})));
}

void Certificates::document(const http::Request& request, std::string_view poll,
                            http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  if (!entry->certificate) return responder.send(not_certified());
  const auto etag = fmt::format("\"{}\"", hex(entry->certificate->sha256));
  const auto if_none_match = request.head.if_none_match;
  const bool is_known = if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
  http::Response response{304, {}, {}, {}};
  if (!is_known) {
    const auto* const document = document_of(*entry->certificate);
    if (!document) return responder.send(broken());
    response = json_response(200, *document);
  }
  response.with(http::Header::etag, etag);
  response.with(http::Header::cache_control, "public, max-age=31536000, immutable");
  responder.send(std::move(response));
}

const std::string* Certificates::document_of(const model::Certificate& certificate) {
  if (kept_sha256_ == certificate.sha256) return &kept_;
  std::string document;
  const auto decoded = wire::decode(wire::Coding::zstd, certificate.compressed,
                                    limits::kCertifiedDocumentBytes, document);
  if (decoded != wire::Decoding::done || sha256_of(document) != certificate.sha256) return nullptr;
  kept_ = std::move(document);
  kept_sha256_ = certificate.sha256;
  return &kept_;
}

}  // namespace veche::api
