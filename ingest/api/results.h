// Results and receipts: what the applied log says, by the poll's visibility.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/publish/snapshot.h"
#include "ingest/api/app.h"
#include "ingest/api/documents.h"
#include "ingest/wire/results.h"

namespace veche::api {

class Results {
 public:
  enum class Format : std::uint8_t { json, csv, turnout };

  explicit Results(Local& local) : local_(local) {}

  void results(const http::Request& request, std::string_view poll, Format format,
               http::Responder responder);
  // The whole poll's results as one who has voted may see them; for the answer to his ballot.
  using Taker = std::function<void(http::Response&&)>;
  void for_voter(const model::PollId& poll, Taker take);
  void receipt(const http::Request& request, std::string_view poll, std::string_view receipt,
               http::Responder responder);

 private:
  // What is asked for. What a format has no use for is as if it had not been said: equal views of
  // equal counts are one document.
  struct View {
    Look look;
    Format format = Format::json;
    wire::TerritoryFilter filter;
    wire::CsvStyle csv;
    std::uint32_t step_hours = 1;
  };
  struct Question {
    Taker take;
    View view;
    std::string if_none_match;
  };

  void audit(const http::Request& request, const http::Responder& responder,
             const std::shared_ptr<const model::PollEntry>& poll, Question question);
  void ask(const std::shared_ptr<const model::PollEntry>& poll, Question question,
           Writers::Order order = Writers::Order::in_turn);
  void ask_version(const std::shared_ptr<const model::PollEntry>& poll, std::string_view version,
                   Question question);
  static std::optional<View> read_view(const http::RequestHead& head, Format format,
                                       const model::PollEntry& poll, std::string& fault);
  static void normalise(const model::PollDefinition& poll, View& view);
  static std::string form_of(const View& view);
  static http::Response response_of(const publish::Published* published, const View& view);
  static void answer(const Question& question, const Documents::Document& made);

  Local& local_;
};

}  // namespace veche::api
