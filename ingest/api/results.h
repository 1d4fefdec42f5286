// Results and receipts: what the applied log says, by the poll's visibility.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/publish/snapshot.h"
#include "ingest/api/app.h"
#include "ingest/wire/results.h"

namespace veche::api {

class Results {
 public:
  enum class Format { json, csv };

  explicit Results(Local& local) : local_(local) {}

  void results(const http::Request& request, std::string_view poll, Format format,
               http::Responder responder);
  void receipt(const http::Request& request, std::string_view poll, std::string_view receipt,
               http::Responder responder);

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
  // One gathering at a time for each poll; who asks meanwhile shares the next one, so that an
  // answer is never older than its question.
  struct Gathering {
    std::vector<Question> now;
    std::vector<Question> next;
  };

  void ask(const model::PollId& poll, Question question);
  void audit(const http::Request& request, const model::PollEntry& poll, Question question);
  void gather(const model::PollId& poll);
  void on_collected(const model::PollId& poll, const node::Collected& collected);
  static http::Response response_of(const node::Collected& collected, const View& view);
  static void answer(const Question& question, const http::Response& made);

  Local& local_;
  std::unordered_map<model::PollId, Gathering> gatherings_;
  std::size_t waiting_ = 0;  // questions, over all polls
};

}  // namespace veche::api
