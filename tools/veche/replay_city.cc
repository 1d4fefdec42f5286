#include "tools/veche/replay_city.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "engine/model/territory.h"
#include "ingest/auth/digest.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

// Those of TerritoryTree::to_csv, so that rows can be added to what it writes.
constexpr std::string_view kColumns =
    "oktmo8,name,kind,level,parent_oktmo8,region_subject_code,town_population\n";
constexpr int kCityLevel = 1;
constexpr std::size_t kHashBytes = 4;

std::string hash_of(std::string_view folded) {
  const auto hash = auth::sha256(folded);
  std::string text;
  for (std::size_t i = 0; i < kHashBytes; ++i) text += fmt::format("{:02x}", hash[i]);
  return text;
}

model::TerritoryCode code_from(std::string_view text) {
  return model::TerritoryCode::parse(text).value();
}

bool is_blank(std::string_view name) { return name.empty() || name == "-"; }

std::string row_of(const ReplayCity::Node& node, const model::TerritoryCode& city) {
  const int below = !node.parent ? 0 : *node.parent == city ? 1 : 2;
  return fmt::format("{},{},{},{},{},,\n", node.code.view(), model::csv_field(node.name), node.kind,
                     kCityLevel + below, node.parent ? node.parent->view() : std::string_view());
}

// Whether the list of districts, separated by commas, has the one.
bool has_district(std::string_view list, std::string_view folded) {
  for (;;) {
    const auto comma = list.find(',');
    if (fold(list.substr(0, comma)) == folded) return true;
    if (comma == list.npos) return false;
    list.remove_prefix(comma + 1);
  }
}

Result<bool> has_node(const model::TerritoryTree& tree, const ReplayCity::Node& node,
                      const model::TerritoryCode& city) {
  const auto place = tree.find(node.code);
  if (!place) return false;
  const bool same = fold(tree[*place].name) == fold(node.name) && tree.is_within(node.code, city);
  if (same) return true;
  return Fault{fmt::format("the code {} is taken in the server's tree, by '{}'", node.code.view(),
                           tree[*place].name)};
}

}  // namespace

ReplayCity::ReplayCity(const PabulibFile& file) {
  const auto unit = file.meta_value("unit");
  const auto country = fold(file.meta_value("country"));
  const auto code = code_from("PB-" + hash_of(country + '\0' + fold(unit)));
  nodes_.push_back({code, std::string(is_blank(unit) ? "Unknown" : unit), "city", {}});
  nodes_.push_back({code_from(code.str() + "-unknown"), "Unknown", "unknown", code});
  codes_.emplace("", nodes_.back().code);
  codes_.emplace("-", nodes_.back().code);
}

model::TerritoryCode ReplayCity::district(std::string_view name) {
  const auto known = codes_.find(std::string(name));
  if (known != codes_.end()) return known->second;
  const auto made = node_below(code(), name, "city_district");
  codes_.emplace(name, made);
  return made;
}

model::TerritoryCode ReplayCity::neighborhood(std::string_view district, std::string_view name) {
  const auto parent = this->district(district);
  const auto known = neighborhoods_.find({parent, std::string(name)});
  if (known != neighborhoods_.end()) return known->second;
  const bool is_district = is_blank(name) || fold(name) == fold(district);
  const auto made = is_district ? parent : node_below(parent, name, "neighborhood");
  neighborhoods_.emplace(std::pair(parent, std::string(name)), made);
  return made;
}

model::TerritoryCode ReplayCity::node_below(const model::TerritoryCode& parent,
                                            std::string_view name, std::string_view kind) {
  const auto code = code_from(fmt::format("{}-{}", parent.view(), hash_of(fold(name))));
  const bool is_new = std::none_of(nodes_.begin(), nodes_.end(),
                                   [&](const Node& node) { return node.code == code; });
  if (is_new)
    nodes_.push_back({code, std::string(cut_utf8(name, limits::kTerritoryNameBytes)),
                      std::string(kind), parent});
  return code;
}

model::TerritoryCode ReplayCity::target_of(const PabulibFile& file) {
  const auto name = file.meta_value("district");
  return is_blank(name) ? code() : district(name);
}

Registry registry_of(const PabulibFile& city_file) {
  Registry registry;
  for (const auto& vote : city_file.votes)
    if (!is_blank(vote.district)) registry.emplace(vote.voter_id, vote.district);
  return registry;
}

std::vector<model::TerritoryCode> homes_of(const PabulibFile& file, const Registry& registry,
                                           ReplayCity& city) {
  const auto own = file.meta_value("district");  // the whole file is about it, unless it is blank
  const auto own_folded = fold(own);
  std::vector<model::TerritoryCode> homes;
  homes.reserve(file.votes.size());
  for (const auto& vote : file.votes) {
    std::string_view name = vote.district;
    if (is_blank(name)) {
      const auto registered = registry.find(vote.voter_id);
      name = registered == registry.end() ? own : registered->second;
    } else if (vote.in_neighborhood && !is_blank(own)) {
      homes.push_back(city.neighborhood(own, name));
      continue;
    } else if (!is_blank(own) && name.find(',') != name.npos && has_district(name, own_folded)) {
      name = own;
    }
    homes.push_back(city.district(name));
  }
  return homes;
}

Result<std::optional<std::string>> tree_with(const std::string& csv, const ReplayCity& city) {
  if (csv.empty()) {
    std::string rows(kColumns);
    for (const auto& node : city.nodes()) rows += row_of(node, city.code());
    return std::optional(std::move(rows));
  }
  const auto tree = model::TerritoryTree::parse_csv(csv);
  if (!tree) return tree.error();
  std::string missing;
  for (const auto& node : city.nodes()) {
    const auto has = has_node(*tree, node, city.code());
    if (!has) return has.error();
    if (!*has) missing += row_of(node, city.code());
  }
  if (missing.empty()) return std::optional<std::string>();
  return std::optional(tree->to_csv() + missing);
}

}  // namespace veche::tools
