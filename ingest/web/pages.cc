#include "ingest/web/pages.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
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

http::Response page_of(const model::PollEntry& poll, const publish::Published& published,
                       const PageView& view) {
  const PollView page{poll, published, view.territories};
  return view.territory ? territory_page(page, *view.territory, view.reader)
                        : poll_page(page, view.reader);
}

}  // namespace

void Pages::list(const http::Request& request, http::Responder responder) {
  const auto reader = reader_of(request.head, local_.app.has_test_data());
  const auto view = read_list_view(request.head);
  if (!view) return responder.send(error_page(400, reader));
  const auto& directory = local_.directory();
  const auto* tree = directory.latest_tree();
  names_.use(tree ? tree->tree : nullptr);
  responder.send(poll_list(directory, names_, *view, reader));
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

void Pages::ask(std::string_view poll, PageView view, http::Responder responder) {
  const auto id = model::PollId::parse(poll);
  const auto entry = id ? api::public_poll(local_, *id) : nullptr;
  if (!entry) return responder.send(error_page(404, view.reader));
  const auto level = view.territories.filter.level;
  if (level && !api::has_level(*entry->tree, *level))
    return responder.send(error_page(400, view.reader));
  if (!publish::needs_tallies(*entry, publish::Viewer::anybody))
    return responder.send(page_of_log(entry, view));
  if (gatherer_.is_full()) return responder.send(error_page(503, view.reader));
  gatherer_.ask(*id, {responder, std::move(view)});
}

// Everything that such a page says is in the entry, so it changes with the entry alone.
http::Response Pages::page_of_log(const std::shared_ptr<const model::PollEntry>& poll,
                                  const PageView& view) {
  if (const auto* kept = kept_.find(poll, view)) return *kept;
  const auto published = publish::publish(poll, publish::Viewer::anybody);
  auto page = page_of(*poll, published, view);
  kept_.keep(poll, view, page);
  return page;
}

// Those who ask the same get the same bytes, made once.
void Pages::answer_all(const node::Collected& collected, const std::vector<Question>& questions) {
  const auto published = publish::publish(collected, publish::Viewer::anybody);
  std::map<PageView, http::Response> made;
  for (const auto& [responder, view] : questions) {
    auto found = made.find(view);
    if (found == made.end())
      found = made.emplace(view, page_of(*collected.poll, published, view)).first;
    auto response = found->second;
    responder.send(std::move(response));
  }
}

void Pages::asset(const http::Request& request, http::Responder responder) {
  const auto* asset = find_asset(request.head.path);
  if (!asset)
    return responder.send(error_page(404, reader_of(request.head, local_.app.has_test_data())));
  responder.send(asset_response(*asset));
}

}  // namespace veche::web
