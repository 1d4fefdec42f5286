// The pages, for people with a browser: the list of polls, a poll, one of its territories.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "ingest/api/app.h"
#include "ingest/api/gatherer.h"
#include "ingest/web/kept_pages.h"
#include "ingest/web/poll_list.h"

namespace veche::web {

class Pages {
 public:
  explicit Pages(api::Local& local)
      : local_(local), gatherer_(local, [](const auto& collected, const auto& questions) {
          answer_all(collected, questions);
        }) {}

  void list(const http::Request& request, http::Responder responder);
  void poll(const http::Request& request, std::string_view poll, http::Responder responder);
  void territory(const http::Request& request, std::string_view poll, std::string_view territory,
                 http::Responder responder);
  void asset(const http::Request& request, http::Responder responder);

 private:
  struct Question {
    http::Responder responder;
    PageView view;
  };

  void ask(std::string_view poll, PageView view, http::Responder responder);
  http::Response page_of_log(const std::shared_ptr<const model::PollEntry>& poll,
                             const PageView& view);
  static void answer_all(const node::Collected& collected, const std::vector<Question>& questions);

  api::Local& local_;
  api::Gatherer<Question> gatherer_;
  TerritoryNames names_;
  KeptPages kept_;
};

}  // namespace veche::web
