// Where a client connects to.
#pragma once

#include <string>
#include <string_view>

#include "engine/model/result.h"
#include "ingest/http/coroutine.h"

namespace veche::http {

struct Site {
  std::string url;
  std::string authority;  // host:port
  Tcp::endpoint endpoint;
};

// Of "http://host:port"; asks the system for the host's address, and blocks meanwhile.
Result<Site> find_site(std::string_view url);

}  // namespace veche::http
