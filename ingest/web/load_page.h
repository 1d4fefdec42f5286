// The load of this node as an operator watches it: a page, and the numbers behind it. Both are for
// the operator's listener, for they count ballots of hidden polls too.
#pragma once

#include "ingest/api/metrics.h"
#include "ingest/http/response.h"
#include "ingest/web/layout.h"

namespace veche::web {

http::Response load_page(const api::Load& load, const Reader& reader);

// {"ready", "connections", "requests", "cpu_seconds", "ballots": {code: n},
//  "latency": [{"seconds": at most, or null for the last, "ballots"}]}; sums since the start.
http::Response load_json(const api::Load& load);

}  // namespace veche::web
