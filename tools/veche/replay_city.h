// The city of a replayed vote as a part of the territory tree: where its voters are at home.
//
// Codes are made of names, so that every file of a city gives the same: PB-1a2b3c4d for the city
// (PB as in participatory budget), PB-1a2b3c4d-5e6f7a8b for a district, and as much again for a
// neighborhood below it, PB-1a2b3c4d-unknown for voters whose district is not known. Names that
// differ only in case are one district. A list of places is one place of that name.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/result.h"
#include "tools/veche/pabulib.h"

namespace veche::tools {

class ReplayCity {
 public:
  struct Node {
    model::TerritoryCode code;
    std::string name;
    std::string kind;
    std::optional<model::TerritoryCode> parent;  // none: the city itself
  };

  // The city itself and its unknown district; others come with district().
  explicit ReplayCity(const PabulibFile& file);

  const model::TerritoryCode& code() const { return nodes_.front().code; }
  // The unknown one for a blank name or "-".
  model::TerritoryCode district(std::string_view name);
  // A part of a district; the district itself for a blank name, "-", or its own.
  model::TerritoryCode neighborhood(std::string_view district, std::string_view name);
  // The district that a district poll asks, else the whole city.
  model::TerritoryCode target_of(const PabulibFile& file);

  // Each code once, and behind the one that it lies in: the city first.
  std::span<const Node> nodes() const { return nodes_; }

 private:
  // The node of the folded name below the parent, made if it is new.
  model::TerritoryCode node_below(const model::TerritoryCode& parent, std::string_view name,
                                  std::string_view kind);

  std::vector<Node> nodes_;
  boost::unordered_flat_map<std::string, model::TerritoryCode> codes_;  // by name as it is written
  std::map<std::pair<model::TerritoryCode, std::string>, model::TerritoryCode> neighborhoods_;
};

// Where the voters of a city live, by voter id, as its own file tells for its district polls.
using Registry = boost::unordered_flat_map<std::string, std::string>;
Registry registry_of(const PabulibFile& city_file);

// The home of each vote's voter: the row's district, else the registry's, else the district that
// the whole file is about, else unknown. A row's neighborhood lies in that district of the file,
// and a row's list of districts that has it means it.
std::vector<model::TerritoryCode> homes_of(const PabulibFile& file, const Registry& registry,
                                           ReplayCity& city);

// The tree of the CSV (empty: none yet) with what it lacks of the city, as CSV again; nothing if
// it lacks nothing. A code that stands for something else in the tree is a fault.
Result<std::optional<std::string>> tree_with(const std::string& csv, const ReplayCity& city);

}  // namespace veche::tools
