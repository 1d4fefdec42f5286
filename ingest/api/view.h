// What a reader of results asks to see, and as whom: one reading of the request for all routes.
#pragma once

#include <optional>
#include <string_view>

#include "engine/publish/snapshot.h"
#include "ingest/api/app.h"
#include "ingest/auth/claims.h"
#include "ingest/wire/results.h"

namespace veche::api {

// The parameters by, level and parent. nullopt: one is not well formed.
std::optional<wire::TerritoryFilter> read_filter(const http::RequestHead& head);
inline constexpr std::string_view kFilterRule =
    "by is territory; level and parent narrow by=territory";

// Who asks, as far as it matters to what the poll shows: a token is looked at where it does, and
// must be good then.
Result<publish::Viewer, auth::TokenRefusal> viewer_of(Local& local, const model::PollEntry& poll,
                                                      std::string_view authorization);

}  // namespace veche::api
