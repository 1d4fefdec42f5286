#include "ingest/api/certificates.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "engine/model/limits.h"
#include "engine/publish/snapshot.h"
#include "ingest/api/documents.h"
#include "ingest/api/life.h"
#include "ingest/api/polls.h"
#include "ingest/api/visible.h"
#include "ingest/api/writers.h"
#include "ingest/auth/digest.h"
#include "ingest/http/problem.h"
#include "ingest/http/worker.h"
#include "ingest/wire/content_coding.h"
#include "ingest/wire/header_list.h"
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
http::Response overloaded() {
  return refusal(model::Outcome::overloaded, wire::Language::en);
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

// To write, hash and pack a large result takes a second and more.
void Certificates::freeze(const Asked& asked, const node::Collected& collected,
                          http::Responder responder) {
  local_.app.writers.run([&app = local_.app, asked, collected, responder] {
    const auto send = [responder](http::Response response) {
      responder.worker().post([responder, response = std::move(response)]() mutable {
        responder.send(std::move(response));
      });
    };
    auto request = request_of(asked, collected);
    if (!request) return send(request.error());
    app.node.certify(*std::move(request), [send](const node::ChangeResult& result) {
      send(result.outcome == node::ChangeOutcome::done ? poll_response(200, *result.poll)
                                                       : refused_change(result));
    });
  });
}

Result<node::CertifyRequest, http::Response> Certificates::request_of(
    const Asked& asked, const node::Collected& collected) {
  const auto document = final_document(collected);
  if (!document)
    return http::problem(409, "not-final", "The last ballots are still being counted: ask again.");
  if (document->size() > limits::kCertifiedDocumentBytes) return too_large();
  node::CertifyRequest request{asked.poll,
                               asked.version.value_or(collected.poll->version),
                               wire::compress_zstd(*document),
                               sha256_of(*document),
                               asked.by,
                               asked.reason};
  if (request.compressed.size() > limits::kCertificateBytes) return too_large();
  return request;
}

void Certificates::show(const http::Request& request, std::string_view poll,
                        http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  if (!entry->certificate) return responder.send(not_certified());
  ask(entry, responder, [entry](const http::Response& document) {
    const auto& certificate = *entry->certificate;
    return json_response(
        200, json::serialize(json::object{{"poll", entry->definition->id.str()},
                                          {"sha256", hex(certificate.sha256)},
                                          {"certified_by", certificate.by},
                                          {"certified_at", wire::format_time(certificate.at)},
                                          {"bytes", document.body.size()}}));
  });
}

void Certificates::document(const http::Request& request, std::string_view poll,
                            http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  if (!entry->certificate) return responder.send(not_certified());
  const auto etag = fmt::format("\"{}\"", hex(entry->certificate->sha256));
  const auto with_headers = [etag](http::Response response) {
    response.with(http::Header::etag, etag);
    response.with(http::Header::cache_control, "public, max-age=31536000, immutable");
    return response;
  };
  if (wire::has_entity_tag(request.head.if_none_match, etag))
    return responder.send(with_headers({304, {}, {}, {}}));
  ask(entry, responder, with_headers);
}

// Unpacked and hashed once for all who ask; what is broken is told as that to all of them.
void Certificates::ask(const std::shared_ptr<const model::PollEntry>& poll,
                       const http::Responder& responder, Answer answer) {
  const auto& certificate = poll->certificate;
  const bool is_taken = local_.app.documents.of_state(
      "certificate " + poll->definition->id.str(), certificate, "document",
      [certificate] { return unpack(*certificate); },
      [responder, answer = std::move(answer)](const Documents::Document& made) {
        responder.worker().post([responder, answer, made] {
          if (!made) return responder.send(overloaded());
          responder.send(made->status == 200 ? answer(*made) : http::Response(*made));
        });
      });
  if (!is_taken) responder.send(overloaded());
}

// Other bytes than those that were certified must not pass for them.
http::Response Certificates::unpack(const model::Certificate& certificate) {
  std::string document;
  const auto decoded = wire::decode(wire::Coding::zstd, certificate.compressed,
                                    limits::kCertifiedDocumentBytes, document);
  if (decoded != wire::Decoding::done || sha256_of(document) != certificate.sha256) return broken();
  return json_response(200, std::move(document));
}

}  // namespace veche::api
