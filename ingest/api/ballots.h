// Ballots, one by one and in a gateway's batches: token, JSON, judgement, then on to the engine in
// groups; the answers come back in groups too. One for each HTTP thread, used on that thread alone
// but for deliver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/admit/judge.h"
#include "engine/node/reply.h"
#include "ingest/api/app.h"
#include "ingest/api/results.h"
#include "ingest/http/slices.h"
#include "ingest/wire/ballot_json.h"

namespace veche::api {

class Ballots final : public node::ReplySink {
 public:
  Ballots(Local& local, Results& results)
      : local_(local),
        results_(results),
        slices_(local.worker),
        bodies_part_(local.worker.received()) {}

  void post_ballot(const http::Request& request, std::string_view poll, http::Responder responder);
  void post_batch(const http::Request& request, http::Responder responder);

  // Whether one more batch may be read: checked before its body is.
  bool has_room_for_batch() const { return batches_ < limits::kBatchesPerThread; }

  // On an engine thread: hands over to this HTTP thread.
  void deliver(std::vector<node::Reply> replies) override;

 private:
  // A ballot whose voter is proven, by a token or by a gateway's word.
  struct Cast {
    model::PollId poll;
    model::VoterKey voter;
    model::TerritoryCode territory;
    std::vector<model::AddressCode> addresses;
    std::uint8_t level = 0;
  };
  // What became of one line of a batch.
  struct Line {
    model::Outcome outcome = model::Outcome::outcome_unknown;
    std::uint16_t status = 0;  // with a code of its own where no outcome says it
    std::string_view code;
    std::string detail;
    std::string receipt;
  };
  struct Batch {
    http::Responder responder;
    wire::Language language;
    bool detail_all = false;
    std::shared_ptr<const auth::BatchLimits> gateway;
    std::string body;  // decoded; until the last line is read
    std::vector<Line> lines;
    std::size_t missing = 0;
    std::size_t next_line = 0;  // that was not read yet, and where it begins
    std::size_t next_byte = 0;
    // Lines that are read once more: number and text, which lies in the body.
    std::vector<std::pair<std::size_t, std::string_view>> behind_barrier = {};
    std::size_t next_behind = 0;
    // The answer, as far as it is written.
    std::size_t told_lines = 0, accepted = 0, recorded = 0, unknown = 0;
    std::string items = {};
  };
  // A request that the engine has; found again by its ticket.
  struct Waiting {
    std::optional<http::Responder> responder;  // of a single ballot
    std::shared_ptr<Batch> batch;              // or of a line
    std::size_t line = 0;
    model::PollId poll;
    wire::Language language = wire::Language::en;
    std::vector<model::DocumentFault> faults;
    bool with_results = false;
  };
  // Decided here, or handed to the engine.
  struct Decision {
    std::optional<model::Outcome> outcome;
    bool needs_barrier = false;
    node::BallotRequest request;
    std::vector<model::DocumentFault> faults;
  };

  Decision decide(const Cast& cast, const model::NamedAnswers& answers, bool behind_barrier);
  // How a single ballot is to be answered.
  struct Manner {
    wire::Language language = wire::Language::en;
    bool with_results = false;
  };
  void cast_single(Cast cast, std::string_view body, http::Responder responder, Manner manner,
                   bool behind_barrier);
  void answer_with_results(const http::Responder& responder, const model::PollId& poll,
                           std::uint16_t status, std::string counted);
  void answer_single(const Waiting& waiting, model::Outcome outcome, std::string receipt);

  std::optional<http::Response> decode_batch(const http::Request& request);
  void count_bodies(std::ptrdiff_t more_bytes);
  void forget_body(Batch& batch);
  std::optional<http::Response> refuse_batch(const auth::BatchClaims& claims,
                                             std::string_view body);
  bool read_line(const std::shared_ptr<Batch>& batch);
  void read_again_behind_barrier(const std::shared_ptr<Batch>& batch);
  bool read_line_again(const std::shared_ptr<Batch>& batch, bool passed);
  void cast_line(const std::shared_ptr<Batch>& batch, std::size_t number, std::string_view text,
                 bool behind_barrier);
  std::optional<Cast> line_cast(const wire::BatchLine& line, const auth::BatchLimits& gateway,
                                Line& refused);
  void line_done(const std::shared_ptr<Batch>& batch);
  bool tell_line(Batch& batch);
  void answer_batch(Batch& batch);

  void send(node::BallotRequest request, Waiting waiting);
  void flush();
  void on_reply(const node::Reply& reply);
  Waiting take_waiting(std::uint64_t ticket);

  Local& local_;
  Results& results_;
  http::Slices slices_;
  wire::BallotReader reader_;
  std::vector<Waiting> waiting_;  // by ticket
  std::vector<std::uint64_t> free_tickets_;
  std::vector<node::BallotRequest> outgoing_;
  std::size_t batches_ = 0;
  std::size_t body_bytes_ = 0;  // of the batches that are being read
  http::HeldBytes::Part bodies_part_;
  std::string decoded_;  // the body of the batch that is being taken
};

}  // namespace veche::api
