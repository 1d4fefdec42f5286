#include "ingest/api/routes.h"

namespace veche::api {
namespace {

std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);  // the slash
  const auto segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

bool matches(std::string_view pattern, std::string_view path,
             std::array<std::string_view, 2>& parameters) {
  std::size_t parameter = 0;
  while (!pattern.empty() && path.starts_with('/')) {
    const auto wanted = take_segment(pattern);
    const auto given = take_segment(path);
    if (wanted.starts_with('{')) {
      if (given.empty()) return false;
      parameters[parameter++] = given;
    } else if (wanted != given) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

std::string_view label(http::Route route) {
  for (const auto& row : kRoutes)
    if (static_cast<http::Route>(row.id) == route) return row.label;
  return route == static_cast<http::Route>(RouteId::metrics) ? "metrics" : "none";
}

bool is_page(RouteId route) {
  for (const auto& row : kRoutes)
    if (row.id == route) return row.is_page;
  return false;
}

PathMatch match(http::Method method, std::string_view path) {
  if (method == http::Method::head) method = http::Method::get;
  PathMatch found;
  for (const auto& row : kRoutes) {
    if (!matches(row.pattern, path, found.parameters)) continue;
    if (row.method == method) {
      found.route = row.id;
      return found;
    }
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += http::to_string(row.method);
    if (row.method == http::Method::get) found.allow += ", HEAD";
  }
  return found;
}

}  // namespace veche::api
