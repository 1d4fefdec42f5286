#include "ingest/auth/crypto_version.h"

#include <openssl/crypto.h>
#include <sodium/version.h>

namespace veche::auth {

std::string openssl_version() { return OpenSSL_version(OPENSSL_VERSION_STRING); }

std::string sodium_version() { return sodium_version_string(); }

}  // namespace veche::auth
