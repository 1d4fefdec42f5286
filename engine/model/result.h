// The one alias for "a value or an error": std::expected is not in C++20.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

namespace veche {

// A failure to tell a person: what is wrong, where, and what to do about it.
struct Fault {
  std::string message;
};

[[noreturn]] inline void throw_exception_from_error(const Fault& fault,
                                                    const boost::source_location&) {
  throw std::runtime_error(fault.message);
}

template <class T, class E = Fault>
using Result = boost::system::result<T, E>;

}  // namespace veche
