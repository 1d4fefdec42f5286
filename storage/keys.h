// Big-endian numbers, so that keys sort as numbers do.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace veche::storage {

template <std::unsigned_integral Number>
void put_big_endian(std::string& out, Number value) {
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift));
}

template <std::unsigned_integral Number>
Number get_big_endian(std::string_view in) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value = static_cast<Number>((value << 8) | static_cast<unsigned char>(in[i]));
  return value;
}

}  // namespace veche::storage
