// Counts as the server's results tell them. Any of them may be null, which is never 0: then the
// member "suppressed" beside it says why it is hidden.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace veche::tools {

// Nothing: hidden.
std::optional<std::uint64_t> shown_number(const boost::json::value& count);

// Why the counts of the whole, of a territory or of a group are hidden, in words; empty: they are
// not. A reason that a newer server gives stays as it is.
std::string why_hidden(const boost::json::value& counts);

// The number, or "hidden: " and why. `counts` is what holds the number.
std::string number_or_why(const boost::json::value& counts, std::string_view member);

}  // namespace veche::tools
