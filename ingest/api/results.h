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
  void receipt(std::string_view poll, std::string_view receipt, http::Responder responder);

 private:
  struct Question {
    http::Responder responder;
    publish::Viewer viewer;
    Format format;
    wire::TerritoryFilter filter;
    std::string if_none_match;
  };
  // One gathering at a time for each poll; who asks meanwhile shares the next one, so that an
  // answer is never older than its question.
  struct Gathering {
    std::vector<Question> now;
    std::vector<Question> next;
  };

  void gather(const model::PollId& poll);
  void on_collected(const model::PollId& poll, const node::Collected& collected);
  static void answer(const node::Collected& collected, const Question& question,
                     model::Instant as_of);

  Local& local_;
  std::unordered_map<model::PollId, Gathering> gatherings_;
};

}  // namespace veche::api
