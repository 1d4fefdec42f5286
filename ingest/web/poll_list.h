// The list of polls: open ones first, by state, by title, by a territory whose voters may vote.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/directory.h"
#include "ingest/web/layout.h"

namespace veche::web {

struct PollListView {
  std::optional<model::PollPhase> phase;
  std::string search;
  std::size_t page = 1;
};

// Names of territories ready to be searched. Immutable.
class TerritoryNames {
 public:
  explicit TerritoryNames(std::shared_ptr<const model::TerritoryTree> tree);  // may be null

  const std::shared_ptr<const model::TerritoryTree>& tree() const { return tree_; }
  // The first territories whose name holds the folded text.
  std::vector<model::TerritoryCode> find(const std::string& text) const;

 private:
  const std::shared_ptr<const model::TerritoryTree> tree_;
  std::vector<std::string> folded_;  // by place
};

// Without drafts, which are not for the public. `names` may be null where nothing is looked for.
http::Response poll_list(const model::Directory& directory, const TerritoryNames* names,
                         const PollListView& view, const Reader& reader);

}  // namespace veche::web
