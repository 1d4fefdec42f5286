#include "ingest/http/site.h"

#include <fmt/format.h>

namespace veche::http {

Result<Site> find_site(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = url;
  const bool is_http = rest.starts_with(kScheme);
  if (is_http) rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t colon = rest.rfind(':');
  if (!is_http || colon == std::string_view::npos || colon == 0 ||
      rest.find('/') != std::string_view::npos)
    return Fault{
        fmt::format("\"{}\" is not an address this client can use: give http://host:port", url)};
  std::string host(rest.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::asio::io_context context;
  Tcp::resolver resolver(context);
  boost::system::error_code error;
  const auto found = resolver.resolve(host, std::string(rest.substr(colon + 1)), error);
  if (error || found.empty())
    return Fault{fmt::format("cannot find the host of {}: {}", url, error.message())};
  return Site{std::string(url), std::string(rest), *found.begin()};
}

}  // namespace veche::http
