#include "tools/veche/region.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <random>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "engine/model/territory.h"

namespace veche::tools {
namespace {

constexpr int kCityOkrugs = 16;  // the first is the capital
constexpr int kCapitalDistricts = 7;
constexpr int kDistricts = 27;
constexpr int kUrbanSettlements = 27;
constexpr int kRuralSettlements = 242;
constexpr int kLeastRural = 4;  // in one district
constexpr int kMostRural = 16;

constexpr double kPopulation = 3'400'000;
constexpr double kZipfExponent = 1.3;

// Neither number belongs to a region of the classifier.
constexpr std::string_view kRegionPrefix = "59";
constexpr std::string_view kRegionNumber = "00";
constexpr std::string_view kRegionCode = "59000000";

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  // A number below `bound`. std::uniform_int_distribution differs between libraries.
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  double fraction() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

  template <class T>
  void shuffle(std::vector<T>& values) {
    for (auto i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

  // The stem of a place name, ready for -ский, -ская and -ское; none comes twice.
  std::string stem() {
    for (;;) {
      std::string stem(pick(kHeads));
      if (below(2) == 0) stem += pick(kMiddles);
      stem += pick(kTails);
      if (used_.insert(stem).second) return stem;
    }
  }

 private:
  static constexpr std::array<std::string_view, 28> kHeads{
      "Бар",   "Бел", "Вар",  "Верб", "Гор", "Дол", "Дуб",  "Жар", "Зар", "Зел",
      "Калин", "Кам", "Клен", "Лад",  "Луг", "Мал", "Мир",  "Нов", "Ол",  "Пол",
      "Рад",   "Род", "Сос",  "Стар", "Тал", "Тур", "Холм", "Яр"};
  static constexpr std::array<std::string_view, 12> kMiddles{"ав", "ан", "ар", "ел", "ен", "ер",
                                                             "ив", "ид", "ол", "ом", "ор", "ем"};
  static constexpr std::array<std::string_view, 10> kTails{"ан", "ев", "ин",   "ов",   "онов",
                                                           "ич", "ур", "ичев", "ицын", "атин"};

  template <std::size_t N>
  std::string_view pick(const std::array<std::string_view, N>& parts) {
    return parts[below(N)];
  }

  std::mt19937_64 random_;
  std::unordered_set<std::string> used_;
};

// Sizes of places, largest first; they add up to kPopulation but for rounding.
std::vector<std::uint32_t> populations(std::size_t places, Generator& generator) {
  std::vector<double> weights(places);
  double sum = 0;
  for (std::size_t i = 0; i < places; ++i) {
    const double jitter = 0.9 + 0.2 * generator.fraction();
    weights[i] = jitter * std::pow(static_cast<double>(i + 1), -kZipfExponent);
    sum += weights[i];
  }
  std::vector<std::uint32_t> sizes;
  sizes.reserve(places);
  for (const double weight : weights)
    sizes.push_back(static_cast<std::uint32_t>(std::lround(kPopulation * weight / sum)));
  return sizes;
}

// How many rural settlements each district has.
std::vector<int> rural_shares(Generator& generator) {
  std::vector<int> shares(kDistricts, kLeastRural);
  for (int left = kRuralSettlements - kDistricts * kLeastRural; left > 0;) {
    auto& share = shares[generator.below(kDistricts)];
    if (share == kMostRural) continue;
    ++share;
    --left;
  }
  return shares;
}

// Writes the rows, each parent before its children, and keeps the homes.
class Writer {
 public:
  explicit Writer(std::uint64_t seed) : generator_(seed) {
    const auto sizes = populations(kCityOkrugs + kUrbanSettlements + kRuralSettlements, generator_);
    const auto urban = sizes.begin() + kCityOkrugs;
    const auto rural = urban + kUrbanSettlements;
    okrug_sizes_.assign(sizes.begin(), urban);
    urban_sizes_.assign(urban, rural);
    rural_sizes_.assign(rural, sizes.end());
    generator_.shuffle(urban_sizes_);
    generator_.shuffle(rural_sizes_);
  }

  Region write() {
    region_.csv =
        "oktmo8,control_digit,name,kind,level,parent_oktmo8,region_subject_code,town_population\n";
    row(kRegionCode, generator_.stem() + "ская область", "region", 0, "", {});
    write_districts();
    write_okrugs();
    return std::move(region_);
  }

 private:
  void write_districts() {
    std::vector<int> urban(kDistricts, 0);
    for (int i = 0; i < kUrbanSettlements; ++i) ++urban[generator_.below(kDistricts)];
    const auto rural = rural_shares(generator_);
    for (int i = 0; i < kDistricts; ++i) {
      const auto prefix = fmt::format("{}6{:02}", kRegionPrefix, 2 * i + 3);
      const auto code = prefix + "000";
      row(code, generator_.stem() + "ский муниципальный район", "municipal_district", 1,
          kRegionCode, {});
      for (int k = 0; k < urban[i]; ++k)
        home(fmt::format("{}1{:02}", prefix, 2 * k + 1), "ское", "urban_settlement", code,
             take(urban_sizes_));
      for (int k = 0; k < rural[i]; ++k)
        home(fmt::format("{}4{:02}", prefix, 5 * k + 2), "ское", "rural_settlement", code,
             take(rural_sizes_));
    }
  }

  void write_okrugs() {
    for (int i = 0; i < kCityOkrugs; ++i) {
      const auto code = fmt::format("{}7{:02}000", kRegionPrefix, 4 * i + 1);
      if (i > 0) {
        home(code, "ский", "city_okrug", kRegionCode, okrug_sizes_[i]);
        continue;
      }
      row(code, generator_.stem() + "ский", "city_okrug", 1, kRegionCode, okrug_sizes_[0]);
      write_capital(code, okrug_sizes_[0]);
    }
  }

  void write_capital(const std::string& capital, std::uint32_t left) {
    for (int i = 0; i < kCapitalDistricts; ++i) {
      const auto even = left / (kCapitalDistricts - i);
      const auto share =
          i + 1 == kCapitalDistricts
              ? left
              : even - even / 4 + static_cast<std::uint32_t>(generator_.below(even / 2 + 1));
      home(fmt::format("{}3{:02}", capital.substr(0, 5), 10 * i + 10), "ский", "intracity_district",
           capital, share);
      left -= share;
    }
  }

  static std::uint32_t take(std::vector<std::uint32_t>& sizes) {
    const auto size = sizes.back();
    sizes.pop_back();
    return size;
  }

  // Only towns write their population into the table, as the classifier's users have it.
  void home(const std::string& code, std::string_view ending, std::string_view kind,
            std::string_view parent, std::uint32_t population) {
    const bool town = kind == "city_okrug" || kind == "urban_settlement";
    row(code, generator_.stem() + std::string(ending), kind, parent == kRegionCode ? 1 : 2, parent,
        town ? std::optional(population) : std::nullopt);
    region_.homes.push_back({model::TerritoryCode::parse(code).value(), population});
  }

  void row(std::string_view code, std::string_view name, std::string_view kind, int level,
           std::string_view parent, std::optional<std::uint32_t> town_population) {
    fmt::format_to(std::back_inserter(region_.csv), "{},{},{},{},{},{},{},{}\n", code,
                   model::control_digit(code).value(), name, kind, level, parent, kRegionNumber,
                   town_population ? std::to_string(*town_population) : "");
  }

  Generator generator_;
  std::vector<std::uint32_t> okrug_sizes_, urban_sizes_, rural_sizes_;
  Region region_;
};

}  // namespace

Region make_region(std::uint64_t seed) { return Writer(seed).write(); }

}  // namespace veche::tools
