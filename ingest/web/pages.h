// The pages, for people with a browser: the list of polls, a poll, one of its territories.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/api/app.h"
#include "ingest/web/poll_list.h"
#include "ingest/web/territory_table.h"

namespace veche::web {

class Pages {
 public:
  explicit Pages(api::Local& local) : local_(local) {}

  void list(const http::Request& request, http::Responder responder);
  void poll(const http::Request& request, std::string_view poll, http::Responder responder);
  void territory(const http::Request& request, std::string_view poll, std::string_view territory,
                 http::Responder responder);
  void asset(const http::Request& request, http::Responder responder);

 private:
  // What is asked for of a poll.
  struct View {
    std::optional<model::TerritoryCode> territory;
    TerritoryView territories;
    Reader reader;
  };

  void ask(std::string_view poll, const View& view, const http::Responder& responder);
  std::shared_ptr<const TerritoryNames> names_of(
      const std::shared_ptr<const model::TerritoryTree>& tree);
  static std::string form_of(const PollListView& view, const Reader& reader);
  static std::string form_of(const View& view);
  static http::Response page_of(const model::PollEntry& poll, const publish::Published& published,
                                const View& view);

  api::Local& local_;
  std::shared_ptr<const TerritoryNames> names_;  // of the tree that was searched last
};

}  // namespace veche::web
