#include "ingest/wire/poll_texts.h"

#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/model/assert.h"

namespace veche::wire {
namespace {

// U_GC_C_MASK: controls, format characters, private, unassigned. What is unassigned today may get
// another normal form tomorrow.
constexpr std::uint32_t kUnseen = U_GC_C_MASK | U_GC_ZL_MASK | U_GC_ZP_MASK;

bool has_any_of(std::string_view text, std::uint32_t categories) {
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t at = 0; at < size;) {
    UChar32 character = 0;
    U8_NEXT(text.data(), at, size, character);
    if (character < 0 || (U_GET_GC_MASK(character) & categories) != 0) return true;
  }
  return false;
}

bool is_nfc(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(status);
  VECHE_ASSERT(U_SUCCESS(status), "ICU has its data");
  const bool is_normal = nfc->isNormalizedUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), status);
  return U_SUCCESS(status) && is_normal;
}

class TextFaults {
 public:
  void check_id(std::string_view id, std::string pointer) {
    if (has_any_of(id, kUnseen))
      add(std::move(pointer), "bad-id",
          "an id holds no control character, and no other that is not seen");
    else if (!is_nfc(id))
      add(std::move(pointer), "not-nfc",
          "an id is in Unicode's normalization form NFC, where an accent and its letter are one");
  }
  void check_title(const model::Title& title, std::string pointer) {
    if (has_any_of(title.ru, U_GC_CC_MASK) || has_any_of(title.en, U_GC_CC_MASK))
      add(std::move(pointer), "not-printable", "control characters are not allowed");
  }
  std::vector<model::DocumentFault> take() { return std::move(faults_); }

 private:
  void add(std::string pointer, std::string_view code, std::string detail) {
    faults_.push_back({std::move(pointer), std::string(code), std::move(detail)});
  }

  std::vector<model::DocumentFault> faults_;
};

}  // namespace

std::vector<model::DocumentFault> check_texts(const model::PollDefinition& poll) {
  TextFaults faults;
  faults.check_title(poll.title, "/title");
  for (std::size_t q = 0; q < poll.questions.size(); ++q) {
    const auto& question = poll.questions[q];
    const auto at = fmt::format("/questions/{}", q);
    faults.check_id(question.id, at + "/id");
    faults.check_title(question.title, at + "/title");
    for (std::size_t o = 0; o < question.options.size(); ++o) {
      const auto option_at = fmt::format("{}/options/{}", at, o);
      faults.check_id(question.options[o].id, option_at + "/id");
      faults.check_title(question.options[o].title, option_at + "/title");
    }
  }
  return faults.take();
}

}  // namespace veche::wire
