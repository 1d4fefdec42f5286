#include "ingest/web/pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/documents.h"
#include "ingest/api/view.h"
#include "ingest/api/visible.h"
#include "ingest/web/poll_page.h"

namespace veche::web {
namespace {

// A form sends a space as '+'. nullopt: too long.
std::optional<std::string> search_of(const http::RequestHead& head) {
  std::string search(head.query("q").value_or(""));
  if (search.size() > limits::kSearchBytes) return std::nullopt;
  std::replace(search.begin(), search.end(), '+', ' ');
  const auto first = search.find_first_not_of(' ');
  if (first == std::string::npos) return std::string();
  return search.substr(first, search.find_last_not_of(' ') - first + 1);
}

std::optional<PollListView> read_list_view(const http::RequestHead& head) {
  PollListView view;
  auto search = search_of(head);
  if (!search) return std::nullopt;
  view.search = *std::move(search);
  if (const auto page = head.query("page")) {
    const auto number = model::parse_number<std::uint16_t>(*page);
    if (!number || *number == 0) return std::nullopt;
    view.page = *number;
  }
  const auto state = head.query("state");
  if (!state || state->empty()) return view;
  for (const auto phase :
       {model::PollPhase::scheduled, model::PollPhase::open, model::PollPhase::closed,
        model::PollPhase::certified, model::PollPhase::cancelled})
    if (model::name(phase) == *state) view.phase = phase;
  return view.phase ? std::optional(view) : std::nullopt;
}

std::optional<TerritoryView> read_territory_view(const http::RequestHead& head) {
  auto search = search_of(head);
  if (!search) return std::nullopt;
  TerritoryView view;
  view.filter.by_territory = true;
  view.search = *std::move(search);
  const auto level = head.query("level");
  if (!level) return view;
  view.filter.level = model::parse_number<std::uint8_t>(*level);
  return view.filter.level ? std::optional(view) : std::nullopt;
}

}  // namespace

void Pages::list(const http::Request& request, http::Responder responder) {
  const auto reader = reader_of(request.head, local_.app.has_test_data());
  const auto view = read_list_view(request.head);
  if (!view) return responder.send(error_page(400, reader));
  const auto directory = local_.app.node.directory();
  const auto* tree = directory->tree_on(api::today(local_.app.time_zone()));
  const auto names = view->search.empty() ? nullptr : names_of(tree ? tree->tree : nullptr);
  const bool is_searched = !view->search.empty();
  const bool is_taken = local_.app.documents.of_state(
      is_searched ? "lists of polls found" : "list of polls", directory,
      {fmt::format("{} {}", form_of(*view, reader), tree ? tree->version : 0),
       is_searched || view->page > 1},
      [directory, names, view = *view, reader] {
        return poll_list(*directory, names.get(), view, reader);
      },
      api::sender(responder, error_page(503, reader)));
  if (!is_taken) responder.send(error_page(503, reader));
}

std::string Pages::form_of(const PollListView& view, const Reader& reader) {
  return fmt::format("{} {} {} {} {}", static_cast<int>(reader.language), reader.chose_language,
                     view.phase ? static_cast<int>(*view.phase) : -1, view.page, view.search);
}

// Made anew when there is another tree.
std::shared_ptr<const TerritoryNames> Pages::names_of(
    const std::shared_ptr<const model::TerritoryTree>& tree) {
  if (!names_ || names_->tree() != tree) names_ = std::make_shared<const TerritoryNames>(tree);
  return names_;
}

void Pages::poll(const http::Request& request, std::string_view poll, http::Responder responder) {
  const auto territories = read_territory_view(request.head);
  const auto reader = reader_of(request.head, local_.app.has_test_data());
  if (!territories) return responder.send(error_page(400, reader));
  ask(poll, {std::nullopt, *territories, reader}, responder);
}

void Pages::territory(const http::Request& request, std::string_view poll,
                      std::string_view territory, http::Responder responder) {
  const auto reader = reader_of(request.head, local_.app.has_test_data());
  const auto code = model::TerritoryCode::parse(territory);
  if (!code) return responder.send(error_page(404, reader));
  auto territories = read_territory_view(request.head);
  if (!territories) return responder.send(error_page(400, reader));
  territories->filter = {.by_territory = true, .level = std::nullopt, .parent = std::nullopt};
  ask(poll, {code, *territories, reader}, responder);
}

void Pages::ask(std::string_view poll, const View& view, const http::Responder& responder) {
  const auto id = model::PollId::parse(poll);
  const auto entry = id ? api::public_poll(local_, *id) : nullptr;
  if (!entry) return responder.send(error_page(404, view.reader));
  const auto level = view.territories.filter.level;
  if (level && *level > entry->tree->deepest_level())
    return responder.send(error_page(400, view.reader));
  const bool is_of_many =
      !view.territories.search.empty() || (view.territory && !entry->tree->find(*view.territory));
  const bool is_taken = local_.app.documents.of_counts(
      entry, {}, {form_of(view), is_of_many},
      [view](const auto& counted, const auto* published) {
        return page_of(counted, *published, view);
      },
      api::sender(responder, error_page(503, view.reader)));
  if (!is_taken) responder.send(error_page(503, view.reader));
}

// The path of the page says which territory it is of.
std::string Pages::form_of(const View& view) {
  const auto& [filter, search] = view.territories;
  return fmt::format("page {} {} {} {} {}", view.reader.path,
                     static_cast<int>(view.reader.language), view.reader.chose_language,
                     filter.level ? int{*filter.level} : -1, search);
}

http::Response Pages::page_of(const model::PollEntry& poll, const publish::Published& published,
                              const View& view) {
  const PollView page{poll, published, view.territories};
  return view.territory ? territory_page(page, *view.territory, view.reader)
                        : poll_page(page, view.reader);
}

void Pages::asset(const http::Request& request, http::Responder responder) {
  const auto* asset = find_asset(request.head.path);
  if (!asset)
    return responder.send(error_page(404, reader_of(request.head, local_.app.has_test_data())));
  responder.send(asset_response(*asset));
}

}  // namespace veche::web
