// The territory tree: regions, districts, settlements, as an operator uploads them. A poll's
// targets, a voter's registration and the sums of a result all speak of its nodes.
//
// A tree is an immutable value, shared between threads as std::shared_ptr<const TerritoryTree>.
// Nodes lie in pre-order, siblings by code, so that a node's subtree is one interval of places and
// a parent comes before its children: walking backwards sums a tree up in one pass.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/date.h"
#include "engine/model/ids.h"
#include "engine/model/result.h"

namespace veche::model {

using TerritoryIndex = std::uint32_t;  // a node's place in its tree

struct Territory {
  TerritoryCode code;
  std::string name;
  std::string kind;        // the classifier's word: city_okrug, rural_settlement, ...
  std::uint8_t level = 0;  // greater than the parent's; not always by one
  TerritoryCode region;    // number of the federal subject, such as 74; may be empty
  std::optional<std::uint32_t> town_population;
  std::optional<TerritoryIndex> parent;  // a root has none; there may be several roots
  TerritoryIndex end = 0;                // the subtree is [own place, end)
};

// The digit that follows an OKTMO code of 8 or 11 digits and guards against slips in typing it;
// nullopt for any other code. The rule is that of all Russian classifiers: PR 50.1.024-2005,
// appendix "Method of calculating the control number".
std::optional<int> control_digit(std::string_view code);

struct SentTree;

class TerritoryTree {
 public:
  // Reads CSV (RFC 4180, UTF-8) with a header row that names the columns, in any order:
  //   oktmo8 name kind level parent_oktmo8                    needed; a root's parent is empty
  //   control_digit region_subject_code town_population       may be left out or empty
  // Rows may come in any order, children before parents too. The first fault is reported with its
  // line and what to do about it. The log is rebuilt through here: what was once accepted or
  // refused must stay so.
  static Result<TerritoryTree> parse_csv(std::string_view csv);

  // The same of what somebody sends, who is there to be asked: control digits that do not fit are
  // no fault, but among the doubts.
  static Result<SentTree> parse_sent(std::string_view csv);

  // The same bytes for the same tree, whatever the CSV it came from looked like. Control digits
  // are left out: they say nothing that the codes do not.
  std::string to_csv() const;

  // At least one node.
  std::size_t size() const { return nodes_.size(); }
  std::span<const Territory> nodes() const { return nodes_; }
  const Territory& operator[](TerritoryIndex place) const { return nodes_[place]; }

  std::optional<TerritoryIndex> find(const TerritoryCode& code) const;
  std::uint8_t deepest_level() const { return deepest_level_; }
  std::span<const TerritoryIndex> roots() const { return roots_; }
  std::span<const TerritoryIndex> children(TerritoryIndex place) const { return children_[place]; }
  // From the node itself up to its root.
  std::vector<TerritoryIndex> path_to_root(TerritoryIndex place) const;

  // Whether a node is the ancestor or lies below it. A code that is not in the tree lies nowhere.
  bool is_within(TerritoryIndex place, TerritoryIndex ancestor) const {
    return ancestor <= place && place < nodes_[ancestor].end;
  }
  bool is_within(const TerritoryCode& code, const TerritoryCode& ancestor) const;

 private:
  explicit TerritoryTree(std::vector<Territory> nodes);

  std::vector<Territory> nodes_;
  std::uint8_t deepest_level_ = 0;
  std::vector<TerritoryIndex> roots_;
  std::vector<std::vector<TerritoryIndex>> children_;
  boost::unordered_flat_map<TerritoryCode, TerritoryIndex> places_;
};

struct SentTree {
  TerritoryTree tree;
  std::string doubts;  // as doubts_of says them: it should be taken only where somebody insists
};

// A tree as the control log numbers it, from 1.
struct TreeVersion {
  std::uint32_t version = 0;
  Date valid_from{};
  std::shared_ptr<const TerritoryTree> tree;
};

}  // namespace veche::model
