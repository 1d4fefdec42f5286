#include "engine/model/record.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <xxhash.h>

#include <limits>

#include "engine/model/limits.h"

namespace veche::model {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

constexpr std::uint32_t tag(int field, WireFormatLite::WireType type) {
  return WireFormatLite::MakeTag(field, type);
}

void put_varint(std::string& out, std::uint64_t value) {
  std::uint8_t buffer[10];
  const auto* end = CodedOutputStream::WriteVarint64ToArray(value, buffer);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(end - buffer));
}

void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_varint(out, tag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  put_varint(out, bytes.size());
  out.append(bytes);
}

void put_number(std::string& out, int field, std::uint64_t value) {
  put_varint(out, tag(field, WireFormatLite::WIRETYPE_VARINT));
  put_varint(out, value);
}

void set_title(const Title& title, v1::Title& message) {
  message.set_ru(title.ru);
  message.set_en(title.en);
}

Title read_title(const v1::Title& message) { return {message.ru(), message.en()}; }

Instant instant(std::int64_t unix_ms) { return Instant(std::chrono::milliseconds(unix_ms)); }

bool read_question(const v1::Question& message, Question& question) {
  if (!v1::QuestionKind_IsValid(message.kind()) || message.kind() == 0) return false;
  question.id = message.id();
  question.title = read_title(message.title());
  question.kind = static_cast<QuestionKind>(message.kind());
  question.min = message.min();
  question.max = message.max();
  question.points.assign(message.points().begin(), message.points().end());
  for (const auto& option : message.options())
    question.options.push_back({option.id(), read_title(option.title())});
  return true;
}

bool read_target(const v1::Target& message, PollDefinition& poll) {
  if (message.has_territory()) {
    const auto code = TerritoryCode::parse(message.territory());
    if (code) poll.targets.emplace_back(*code);
    return code.has_value();
  }
  const auto code = AddressCode::parse(message.address());
  if (code) poll.targets.emplace_back(*code);
  return code.has_value();
}

bool read_policies(const v1::Definition& message, PollDefinition& poll) {
  if (!v1::Visibility_IsValid(message.visibility()) || message.visibility() == 0) return false;
  if (!v1::Disclosure_IsValid(message.disclosure()) || message.disclosure() == 0) return false;
  if (message.min_level() < limits::kMinLevel || message.min_level() > limits::kMaxLevel)
    return false;
  poll.visibility = static_cast<Visibility>(message.visibility());
  poll.disclosure = static_cast<Disclosure>(message.disclosure());
  poll.least_voters = message.least_voters();
  poll.min_level = static_cast<std::uint8_t>(message.min_level());
  return true;
}

}  // namespace

std::uint64_t RecordWriter::ballot_head(std::size_t ballot_bytes, std::string& head) {
  const auto counter = next_++;
  head.clear();
  put_varint(head, tag(v1::Record::kMagicFieldNumber, WireFormatLite::WIRETYPE_FIXED32));
  const auto magic = kRecordMagic;  // Protocol Buffers write fixed32 little-endian, as this machine
  head.append(reinterpret_cast<const char*>(&magic), sizeof magic);
  put_bytes(head, v1::Record::kBootFieldNumber, boot_.view());
  put_number(head, v1::Record::kCounterFieldNumber, counter);
  put_varint(head, tag(v1::Record::kBallotFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  put_varint(head, ballot_bytes);
  return counter;
}

std::uint64_t RecordWriter::stamp(v1::Record& record) {
  record.set_magic(kRecordMagic);
  record.set_boot(boot_.bytes.data(), boot_.bytes.size());
  record.set_counter(next_);
  return next_++;
}

Decoded decode(std::string_view bytes, v1::Record& record) {
  record.Clear();
  if (bytes.size() > limits::kRecordBytes) return Decoded::foreign;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Decoded::foreign;
  if (record.magic() != kRecordMagic || record.boot().size() != 16) return Decoded::foreign;
  return record.kind_case() == v1::Record::KIND_NOT_SET ? Decoded::unknown_kind : Decoded::ours;
}

std::string serialize_ballot(const PollId& poll, const VoterKey& voter,
                             const TerritoryCode& territory, std::uint8_t level,
                             std::string_view canonical_answers, const Digest& digest,
                             std::uint32_t unix_hour) {
  std::string out;
  out.reserve(64 + poll.view().size() + territory.view().size() + canonical_answers.size());
  put_bytes(out, v1::Ballot::kPollFieldNumber, poll.view());
  put_bytes(out, v1::Ballot::kVoterKeyFieldNumber, voter.view());
  put_bytes(out, v1::Ballot::kTerritoryFieldNumber, territory.view());
  put_number(out, v1::Ballot::kLevelFieldNumber, level);
  put_bytes(out, v1::Ballot::kAnswersFieldNumber, canonical_answers);
  put_bytes(out, v1::Ballot::kDigestFieldNumber, digest.view());
  put_number(out, v1::Ballot::kUnixHourFieldNumber, unix_hour);
  return out;
}

bool read_answers(const v1::Answers& message, Answers& answers) {
  constexpr auto kMaxPlace = std::numeric_limits<std::uint16_t>::max();
  answers.resize(static_cast<std::size_t>(message.answers_size()));
  for (int i = 0; i < message.answers_size(); ++i) {
    const auto& entry = message.answers(i);
    auto& answer = answers[static_cast<std::size_t>(i)];
    const bool with_points = entry.points_size() > 0;
    if (entry.question() > kMaxPlace) return false;
    if (with_points && entry.points_size() != entry.options_size()) return false;
    answer.question = static_cast<std::uint16_t>(entry.question());
    answer.choices.clear();
    for (int c = 0; c < entry.options_size(); ++c) {
      if (entry.options(c) > kMaxPlace) return false;
      answer.choices.push_back(
          {static_cast<std::uint16_t>(entry.options(c)), with_points ? entry.points(c) : 0});
    }
  }
  return true;
}

v1::Tail tail_of(const Position& applied, Instant now) {
  v1::Tail tail;
  tail.set_unix_ms(now.time_since_epoch().count());
  tail.set_next_offset(applied.next.value);
  tail.set_rolling_hash(applied.hash.bytes.data(), applied.hash.bytes.size());
  return tail;
}

v1::Definition to_message(const PollDefinition& poll) {
  v1::Definition message;
  message.set_id(poll.id.str());
  set_title(poll.title, *message.mutable_title());
  message.set_opens_at_unix_ms(poll.opens_at.time_since_epoch().count());
  message.set_closes_at_unix_ms(poll.closes_at.time_since_epoch().count());
  message.set_min_level(poll.min_level);
  for (const auto& target : poll.targets) {
    auto* entry = message.add_targets();
    if (const auto* territory = std::get_if<TerritoryCode>(&target))
      entry->set_territory(territory->str());
    else
      entry->set_address(std::get<AddressCode>(target).str());
  }
  for (const auto& [code, voters] : poll.expected_voters)
    (*message.mutable_expected_voters())[code.str()] = voters;
  message.set_visibility(static_cast<v1::Visibility>(poll.visibility));
  message.set_disclosure(static_cast<v1::Disclosure>(poll.disclosure));
  message.set_least_voters(poll.least_voters);
  message.set_tree_version(poll.tree_version);
  for (const auto& question : poll.questions) {
    auto* entry = message.add_questions();
    entry->set_id(question.id);
    set_title(question.title, *entry->mutable_title());
    entry->set_kind(static_cast<v1::QuestionKind>(question.kind));
    entry->set_min(question.min);
    entry->set_max(question.max);
    for (const auto points : question.points) entry->add_points(points);
    for (const auto& option : question.options) {
      auto* choice = entry->add_options();
      choice->set_id(option.id);
      set_title(option.title, *choice->mutable_title());
    }
  }
  return message;
}

std::shared_ptr<const PollDefinition> read_definition(const v1::Definition& message) {
  auto poll = std::make_shared<PollDefinition>();
  const auto id = PollId::parse(message.id());
  if (!id || !read_policies(message, *poll)) return nullptr;
  poll->id = *id;
  poll->title = read_title(message.title());
  poll->opens_at = instant(message.opens_at_unix_ms());
  poll->closes_at = instant(message.closes_at_unix_ms());
  poll->tree_version = message.tree_version();
  for (const auto& target : message.targets())
    if (!read_target(target, *poll)) return nullptr;
  for (const auto& [text, voters] : message.expected_voters()) {
    const auto code = TerritoryCode::parse(text);
    if (!code) return nullptr;
    poll->expected_voters.emplace(*code, voters);
  }
  for (const auto& question : message.questions())
    if (!read_question(question, poll->questions.emplace_back())) return nullptr;
  return check(*poll).empty() ? poll : nullptr;
}

PartitionId partition_of(const PollId& poll, const VoterKey& voter, std::uint16_t partitions) {
  std::array<char, PollId::kMax + 1 + 16> bytes{};
  const auto id = poll.view();
  std::memcpy(bytes.data(), id.data(), id.size());
  std::memcpy(bytes.data() + id.size() + 1, voter.bytes.data(), 16);
  const auto hash = XXH3_64bits(bytes.data(), id.size() + 1 + 16);
  return {static_cast<std::uint16_t>(hash % partitions)};
}

std::uint64_t fingerprint(std::string_view record) {
  return XXH3_64bits(record.data(), record.size());
}

RollingHash roll(const RollingHash& so_far, std::string_view record) {
  std::array<std::uint8_t, 32> chain;
  std::memcpy(chain.data(), so_far.bytes.data(), 16);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(record.data(), record.size()));
  std::memcpy(chain.data() + 16, canonical.digest, 16);
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(chain.data(), chain.size()));
  RollingHash next;
  std::memcpy(next.bytes.data(), canonical.digest, 16);
  return next;
}

}  // namespace veche::model
