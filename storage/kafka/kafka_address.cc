#include "storage/kafka/kafka_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace veche::storage {
namespace {

constexpr std::string_view kScheme = "kafka://";
constexpr std::size_t kNameBytes = 200;  // a topic's name has at most 249, with our endings
constexpr std::size_t kBrokersBytes = 4'096;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_broker(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         std::none_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c == '/'; });
}

}  // namespace

Result<KafkaAddress> KafkaAddress::parse(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return Fault{
        fmt::format("'{}' is no address of a log: {}. It is kafka://HOST:PORT[,HOST:PORT]"
                    "/NAME",
                    text, why)};
  };
  if (!text.starts_with(kScheme)) return refuse("it does not begin with kafka://");
  auto rest = text.substr(kScheme.size());
  const auto slash = rest.rfind('/');
  if (slash == std::string_view::npos) return refuse("the name is missing");
  const auto name = rest.substr(slash + 1);
  const auto brokers = rest.substr(0, slash);
  if (name.empty() || name.size() > kNameBytes ||
      !std::all_of(name.begin(), name.end(), is_name_character))
    return refuse(fmt::format("a name has 1 to {} of a-z A-Z 0-9 . _ -", kNameBytes));
  if (brokers.size() > kBrokersBytes) return refuse("there are too many brokers");
  for (auto left = brokers;;) {
    const auto comma = left.find(',');
    if (!is_broker(left.substr(0, comma))) return refuse("a broker is HOST:PORT");
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  return KafkaAddress{std::string(brokers), std::string(name)};
}

Result<void> check_property(std::string_view name) {
  constexpr std::array<std::string_view, 7> kOpen{
      "security.",        "sasl.", "ssl.", "enable.ssl.", "broker.address.", "client.dns.lookup",
      "socket.keepalive."};
  const bool open = std::any_of(kOpen.begin(), kOpen.end(),
                                [&](auto beginning) { return name.starts_with(beginning); });
  if (open) return {};
  return Fault{
      fmt::format("'{}' is not for the file of options: what does not concern the connection "
                  "(security.*, sasl.*, ssl.*, enable.ssl.*, broker.address.*, client.dns.lookup, "
                  "socket.keepalive.*) is decided by Veche, so that no ballot can be lost by it",
                  name)};
}

}  // namespace veche::storage
