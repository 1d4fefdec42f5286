// Results and receipts: what the applied log says, by the poll's visibility.
#pragma once

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
  enum class Format { json, csv };

  explicit Results(Local& local)
      : local_(local), gatherer_(local, [](const auto& collected, const auto& questions) {
          answer_all(collected, questions);
        }) {}

  void results(const http::Request& request, std::string_view poll, Format format,
               http::Responder responder);
  void receipt(std::string_view poll, std::string_view receipt, http::Responder responder);

 private:
  // What is asked for: equal views of one gathering have equal answers.
  struct View {
    publish::Viewer viewer;
    Format format;
    wire::TerritoryFilter filter;
    friend auto operator<=>(const View&, const View&) = default;
  };
  struct Question {
    http::Responder responder;
    View view;
    std::string if_none_match;
  };

  static void answer_all(const node::Collected& collected, const std::vector<Question>& questions);
  static http::Response response_of(const node::Collected& collected, const View& view);
  static void answer(const Question& question, const http::Response& made);

  Local& local_;
  Gatherer<Question> gatherer_;
};

}  // namespace veche::api
