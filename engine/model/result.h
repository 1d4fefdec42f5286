// "A value or an error": std::expected is not in C++20, so Boost's result with one change. Boost
// refuses a plain value that the error could also be made of, as a text and a Fault are.
#pragma once

#include <boost/system/result.hpp>
#include <concepts>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace veche {

// A failure to tell a person: what is wrong, where, and what to do about it.
struct Fault {
  Fault() = default;  // what error() of a value gives
  explicit Fault(std::string what) : message(std::move(what)) {}
  std::string message;
};

[[noreturn]] inline void throw_exception_from_error(const Fault& fault,
                                                    const boost::source_location&) {
  throw std::runtime_error(fault.message);
}

template <class T, class E = Fault>
class Result : public boost::system::result<T, E> {
  using Base = boost::system::result<T, E>;

 public:
  Result(E error) : Base(boost::system::in_place_error, std::move(error)) {}
  template <class U = T>
    requires(std::convertible_to<U, T> && !std::same_as<std::remove_cvref_t<U>, E> &&
             !std::derived_from<std::remove_cvref_t<U>, Base>)
  Result(U&& value) : Base(boost::system::in_place_value, std::forward<U>(value)) {}
};

template <class E>
class Result<void, E> : public boost::system::result<void, E> {
  using Base = boost::system::result<void, E>;

 public:
  Result() = default;
  Result(E error) : Base(boost::system::in_place_error, std::move(error)) {}
};

}  // namespace veche
