// Which cryptographic libraries this program runs with.
#pragma once

#include <string>

namespace veche::auth {

std::string openssl_version();  // such as "3.0.11"
std::string sodium_version();   // such as "1.0.18"

}  // namespace veche::auth
