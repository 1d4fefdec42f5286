// decode_target: the request target, e.g. "/v1/polls/a%2Db?limit=5".
#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <optional>

#include "ingest/http/request_parser.h"

namespace veche::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_visible(char c) { return c > 0x20 && c < 0x7F; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// The decoded text, kept in memory. `forbidden` is a character that would change its meaning by
// being decoded: an encoded slash would make a path of another shape.
std::optional<std::string_view> decode(std::string_view raw, char forbidden,
                                       RequestMemory& memory) {
  std::array<char, limits::kHeaderBytes> decoded;
  std::size_t size = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (!is_visible(c) || c == '#') return std::nullopt;
    if (c == '%') {
      if (raw.size() - i < 3) return std::nullopt;
      const int high = hex_value(raw[i + 1]);
      const int low = hex_value(raw[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      if (is_control(c) || c == forbidden) return std::nullopt;
      i += 2;
    }
    decoded[size++] = c;
  }
  return memory.keep({decoded.data(), size});
}

bool decode_parameters(std::string_view query, RequestMemory& memory, RequestHead& head) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto name = decode(pair.substr(0, equals), '\0', memory);
    const auto value = decode(pair.substr(std::min(pair.size(), equals + 1)), '\0', memory);
    if (!name || name->empty() || !value || head.query(*name)) return false;
    if (head.parameter_count == head.parameters.size()) return false;
    head.parameters[head.parameter_count++] = {*name, *value};
  }
  return true;
}

}  // namespace

bool decode_target(std::string_view target, RequestMemory& memory, RequestHead& head) {
  // Proxies may send the absolute form; the authority says nothing to a server of one site.
  constexpr std::string_view kScheme = "http://";
  if (boost::beast::iequals(
          boost::beast::string_view(target.data(), std::min(target.size(), kScheme.size())),
          boost::beast::string_view(kScheme.data(), kScheme.size())))
    target.remove_prefix(std::min(target.size(), target.find('/', kScheme.size())));
  if (!target.starts_with('/')) return false;
  const std::size_t question = std::min(target.find('?'), target.size());
  const auto path = decode(target.substr(0, question), '/', memory);
  if (!path) return false;
  head.path = *path;
  return decode_parameters(target.substr(std::min(target.size(), question + 1)), memory, head);
}

}  // namespace veche::http
