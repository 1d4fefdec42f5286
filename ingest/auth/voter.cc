#include "ingest/auth/voter.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>

#include "ingest/auth/key_file.h"

namespace veche::auth {
namespace {

// What is keyed with one secret never collides: the two labels under the installation's secret are
// different beginnings, and the one under a poll's secret has not the 32 bytes of a pseudonym.
constexpr std::string_view kPollLabel = "veche poll secret v1";
constexpr std::string_view kCheckLabel = "veche check value v1";
constexpr std::string_view kReceiptLabel = "veche receipt key v1";
static_assert(kPollLabel.size() == kCheckLabel.size() && kPollLabel != kCheckLabel);
static_assert(kReceiptLabel.size() != sizeof(Bytes32));

using Block = std::array<std::uint8_t, 16>;

OpenSslPtr<EVP_CIPHER_CTX> aes_context(const Bytes32& key, bool seal) {
  OpenSslPtr<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  must(EVP_CipherInit_ex2(context.get(), EVP_aes_128_ecb(), key.data(), nullptr, seal ? 1 : 0,
                          nullptr) == 1 &&
           EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1,
       "AES takes its key");
  return context;
}

Block through(EVP_CIPHER_CTX* context, const Block& in) {
  Block out;
  int size = 0;
  must(EVP_CipherUpdate(context, out.data(), &size, in.data(), int{sizeof(Block)}) == 1 &&
           size == static_cast<int>(out.size()),
       "AES gives one block for one");
  return out;
}

// --- Letters: 128 bits as 26 digits of base 32, the most significant first ----------------------

constexpr std::string_view kLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kDigits = 26;
constexpr std::size_t kDashes = 4;
using U128 = unsigned __int128;

std::optional<unsigned> digit_of(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (c == 'O') c = '0';
  if (c == 'I' || c == 'L') c = '1';
  const std::size_t found = kLetters.find(c);
  if (found == std::string_view::npos) return {};
  return static_cast<unsigned>(found);
}

std::string spell(const Block& block) {
  U128 number = 0;
  for (const std::uint8_t byte : block) number = number << 8 | byte;
  std::string text;
  text.reserve(kDigits + kDashes);
  for (std::size_t digit = 0; digit < kDigits; ++digit) {
    if (digit % 5 == 0 && digit != 0 && digit / 5 <= kDashes) text += '-';
    text += kLetters[static_cast<unsigned>(number >> (5 * (kDigits - 1 - digit))) & 31];
  }
  return text;
}

std::optional<Block> unspell(std::string_view text) {
  if (text.size() > kDigits + kDashes) return {};
  U128 number = 0;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const auto digit = digit_of(c);
    // 26 digits hold two bits more than a block: those of the first one must be zero.
    if (!digit || (digits == 0 && *digit > 7)) return {};
    number = number << 5 | *digit;
    ++digits;
  }
  if (digits != kDigits) return {};
  Block block;
  for (std::size_t i = block.size(); i-- > 0; number >>= 8)
    block[i] = static_cast<std::uint8_t>(number);
  return block;
}

}  // namespace

PollSecret::PollSecret(std::span<const std::uint8_t> secret) : hmac_(secret) {
  Bytes32 key = hmac_.of(kReceiptLabel);
  seal_ = aes_context(key, true);
  open_ = aes_context(key, false);
  sodium_memzero(key.data(), key.size());
}

model::VoterKey PollSecret::voter_key(std::span<const std::uint8_t, 32> sub) {
  const Bytes32 code = hmac_.of(text_of(sub));
  model::VoterKey key;
  std::copy_n(code.begin(), key.bytes.size(), key.bytes.begin());
  return key;
}

// partition u16 | offset u48 | 64 zero bits, big-endian
std::string PollSecret::receipt(model::PartitionId partition, model::Offset offset) {
  must(offset.value >> 48 == 0, "an offset fits into a receipt");
  const std::uint64_t place = std::uint64_t{partition.value} << 48 | offset.value;
  Block block{};
  for (std::size_t i = 0; i < 8; ++i) block[i] = static_cast<std::uint8_t>(place >> (56 - 8 * i));
  return spell(through(seal_.get(), block));
}

std::optional<std::pair<model::PartitionId, model::Offset>> PollSecret::open_receipt(
    std::string_view receipt) {
  const auto sealed = unspell(receipt);
  if (!sealed) return {};
  const Block block = through(open_.get(), *sealed);
  if (std::any_of(block.begin() + 8, block.end(), [](std::uint8_t byte) { return byte != 0; }))
    return {};
  std::uint64_t place = 0;
  for (std::size_t i = 0; i < 8; ++i) place = place << 8 | block[i];
  return std::pair(model::PartitionId{static_cast<std::uint16_t>(place >> 48)},
                   model::Offset{place & ((std::uint64_t{1} << 48) - 1)});
}

Result<VoterSecret> VoterSecret::load(const std::filesystem::path& path) {
  auto secret = read_secret_file(path);
  if (!secret) return secret.error();
  if (secret->view().size() != limits::kVoterSecretBytes)
    return Fault{fmt::format("{} has {} bytes; a voter secret has exactly {}", path.string(),
                             secret->view().size(), limits::kVoterSecretBytes)};
  return VoterSecret(std::move(*secret));
}

std::array<std::uint8_t, 16> VoterSecret::check_value() const {
  const Bytes32 code = HmacSha256(secret_.view()).of(kCheckLabel);
  std::array<std::uint8_t, 16> value;
  std::copy_n(code.begin(), value.size(), value.begin());
  return value;
}

PollSecret VoterSecret::for_poll(const model::PollId& poll) const {
  Bytes32 secret = HmacSha256(secret_.view()).of(std::string(kPollLabel).append(poll.view()));
  PollSecret made(secret);
  sodium_memzero(secret.data(), secret.size());
  return made;
}

}  // namespace veche::auth
