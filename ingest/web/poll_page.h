// The page of a poll, and that of one territory in it: all that publish gives, or why it gives
// nothing. Every state of a poll has its page here; the script replaces numbers and never decides.
#pragma once

#include <optional>
#include <string>

#include "engine/model/directory.h"
#include "engine/publish/snapshot.h"
#include "ingest/web/layout.h"
#include "ingest/web/territory_table.h"

namespace veche::web {

struct PollView {
  const model::PollEntry& poll;
  const publish::Published& published;
  TerritoryView territories;  // without a parent
};

http::Response poll_page(const PollView& view, const Reader& reader);

// 404 for a territory that the poll's result does not have.
http::Response territory_page(const PollView& view, const model::TerritoryCode& territory,
                              const Reader& reader);

// "Open", for a badge, and its class.
std::string_view state_text(model::PollPhase phase, Language language);
Html state_badge(model::PollPhase phase, Language language);
// When it opens or closes, or did.
Html state_time(const model::PollEntry& poll, Language language);

}  // namespace veche::web
