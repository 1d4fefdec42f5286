// The pages last made of polls whose pages the log alone decides: when a poll closes, thousands
// ask for the same page at once, and it is made once. Belongs to one thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "engine/model/directory.h"
#include "ingest/http/response.h"
#include "ingest/web/layout.h"
#include "ingest/web/territory_table.h"

namespace veche::web {

// What is asked for of a poll: equal views of one state have equal pages.
struct PageView {
  std::optional<model::TerritoryCode> territory;
  TerritoryView territories;
  Reader reader;
  friend auto operator<=>(const PageView&, const PageView&) = default;
};

class KeptPages {
 public:
  // The page made of this very entry; nullptr: it is not kept. Until the next keep().
  const http::Response* find(const std::shared_ptr<const model::PollEntry>& poll,
                             const PageView& view);

  // Pages of the poll's earlier entries go, and beyond the limits those not asked for the longest.
  void keep(std::shared_ptr<const model::PollEntry> poll, PageView view, http::Response page);

 private:
  // The entry is held, so that no other can come to lie at its address.
  struct Page {
    std::shared_ptr<const model::PollEntry> poll;
    PageView view;
    http::Response page;
  };

  std::deque<Page> pages_;  // the last asked for first
  std::size_t bytes_ = 0;   // of their bodies
};

}  // namespace veche::web
