// Results and receipts: what the applied log says, by the poll's visibility.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/publish/snapshot.h"
#include "ingest/api/app.h"
#include "ingest/api/gatherer.h"
#include "ingest/wire/results.h"

namespace veche::api {

class Results {
 public:
  enum class Format : std::uint8_t { json, csv, turnout };

  explicit Results(Local& local)
      : local_(local), gatherer_(local, [](const auto& collected, const auto& questions) {
          answer_all(collected, questions);
        }) {}

  void results(const http::Request& request, std::string_view poll, Format format,
               http::Responder responder);
  // The whole poll's results as one who has voted may see them; for the answer to his ballot.
  using Taker = std::function<void(http::Response&&)>;
  void for_voter(const model::PollId& poll, Taker take);
  void receipt(const http::Request& request, std::string_view poll, std::string_view receipt,
               http::Responder responder);

 private:
  // What is asked for: equal views of one gathering have equal answers.
  struct View {
    publish::Viewer viewer = publish::Viewer::anybody;
    Format format = Format::json;
    wire::TerritoryFilter filter;
    wire::CsvStyle csv;
    std::uint32_t step_hours = 1;
    friend auto operator<=>(const View&, const View&) = default;
  };
  struct Question {
    Taker take;
    View view;
    std::string if_none_match;
  };

  void audit(const http::Request& request, const http::Responder& responder,
             const std::shared_ptr<const model::PollEntry>& poll, Question question);
  void ask(const std::shared_ptr<const model::PollEntry>& poll, Question question);
  void answer_version(const std::shared_ptr<const model::PollEntry>& poll, std::string_view version,
                      const Question& question);
  static std::optional<View> read_view(const http::RequestHead& head, Format format,
                                       const model::TerritoryTree& tree, std::string& fault);
  static void answer_all(const node::Collected& collected, const std::vector<Question>& questions);
  static http::Response response_of(const publish::Published& published, const View& view);
  static void answer(const Question& question, const http::Response& made);

  Local& local_;
  Gatherer<Question> gatherer_;
};

}  // namespace veche::api
