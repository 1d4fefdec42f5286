// What a reader of results asks to see, and as whom: one reading of the request for all routes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/publish/snapshot.h"
#include "ingest/api/app.h"
#include "ingest/auth/claims.h"
#include "ingest/wire/results.h"

namespace veche::api {

// The parameters by, level and parent. The error says what is wrong with one of them: also that the
// poll's tree has no such level or parent, or each invented one would be a view of its own.
Result<wire::TerritoryFilter, std::string> read_filter(const http::RequestHead& head,
                                                       const model::TerritoryTree& tree);

// Who asks, as far as it matters to what the poll shows: a token is looked at where it does, and
// must be good then.
Result<publish::Viewer, auth::TokenRefusal> viewer_of(Local& local, const model::PollEntry& poll,
                                                      std::string_view authorization);

}  // namespace veche::api
