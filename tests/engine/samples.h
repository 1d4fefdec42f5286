// Small polls, records and an index in memory, from which the tests of the engine are built.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/model/ballot.h"
#include "engine/model/checkpoint.h"
#include "engine/model/poll.h"
#include "engine/model/record.h"
#include "engine/model/record_batch.h"

namespace veche::samples {

inline constexpr model::Instant kEpoch{std::chrono::seconds(1'800'000'000)};

inline model::PollId poll_id(std::string_view text) { return *model::PollId::parse(text); }
inline model::TerritoryCode territory(std::string_view code) {
  return *model::TerritoryCode::parse(code);
}

template <class Bytes>
Bytes bytes16(std::uint64_t seed) {
  Bytes value;
  value.bytes.fill(0xA5);
  std::memcpy(value.bytes.data(), &seed, sizeof seed);
  return value;
}
inline model::VoterKey voter(std::uint64_t number) { return bytes16<model::VoterKey>(number); }
inline model::BootId boot(std::uint64_t number) { return bytes16<model::BootId>(number); }
// Any function of the answers will do where only equality counts.
inline model::Digest digest_of(const model::Answers& answers) {
  model::Digest digest;
  digest.bytes = model::roll({}, model::serialize(answers)).bytes;
  return digest;
}

inline model::Question question(std::string id, model::QuestionKind kind, std::uint32_t min,
                                std::uint32_t max, int options,
                                std::vector<std::uint32_t> points = {}) {
  model::Question question{std::move(id), {"Question", ""}, kind, min, max, std::move(points), {}};
  for (int i = 0; i < options; ++i)
    question.options.push_back({std::string(1, static_cast<char>('a' + i)), {"Option", ""}});
  return question;
}

// One question of each kind: single of 3, approval of 1..2 of 4, ranked of 1..3 of 4 with points
// 3, 2, 1, and 2..10 points over 3 options.
inline model::PollDefinition poll_of_all_kinds(std::string_view id = "all-kinds") {
  using model::QuestionKind;
  model::PollDefinition poll;
  poll.id = poll_id(id);
  poll.title = {"Poll", ""};
  poll.opens_at = kEpoch;
  poll.closes_at = kEpoch + std::chrono::hours(1);
  poll.min_level = 2;
  poll.targets = {territory("75000000")};
  poll.tree_version = 1;
  poll.questions = {question("one", QuestionKind::single, 1, 1, 3),
                    question("some", QuestionKind::approval, 1, 2, 4),
                    question("order", QuestionKind::ranked, 1, 3, 4, {3, 2, 1}),
                    question("spread", QuestionKind::points, 2, 10, 3)};
  return poll;
}

inline model::PollDefinition poll_of_one_question(std::string_view id) {
  auto poll = poll_of_all_kinds(id);
  poll.questions.resize(1);
  return poll;
}

inline model::Answers choose(std::uint16_t option) { return {{0, {{option, 0}}}}; }

inline constexpr std::string_view kTreeCsv =
    "oktmo8,name,kind,level,parent_oktmo8\n"
    "75000000,Region,region,1,\n"
    "75700000,City,city_okrug,2,75000000\n"
    "75701000,District,intra_city,3,75700000\n"
    "75800000,Countryside,municipal_district,2,75000000\n";

// The records of one writer.
class Writer {
 public:
  explicit Writer(std::uint64_t number = 1, std::uint8_t lane = 1) : writer_(boot(number), lane) {}

  std::string stamp(v1::Record record) {
    writer_.stamp(record);
    return record.SerializeAsString();
  }
  std::string genesis(std::uint16_t partitions = 1) {
    v1::Record record;
    record.mutable_genesis()->set_partitions(partitions);
    return stamp(record);
  }
  std::string open(const model::PollDefinition& poll, std::uint32_t rules = model::kCountingRules) {
    v1::Record record;
    *record.mutable_open()->mutable_definition() = model::to_message(poll);
    record.mutable_open()->set_rules(rules);
    return stamp(record);
  }
  std::string close(std::string_view poll, bool cancelled = false) {
    v1::Record record;
    record.mutable_close()->set_poll(std::string(poll));
    record.mutable_close()->set_cancelled(cancelled);
    return stamp(record);
  }
  std::string ballot(const model::PollId& poll, std::uint64_t of_voter,
                     const model::Answers& answers, std::string_view where = "75701000") {
    const auto message =
        model::serialize_ballot(poll, voter(of_voter), territory(where), 3,
                                model::serialize(answers), digest_of(answers), 500'000);
    std::string record;
    writer_.ballot_head(message.size(), record);
    return record + message;
  }
  std::string hello(std::uint64_t node, const model::Position& seen, model::Instant clock) {
    v1::Record record;
    record.mutable_hello()->set_node(std::string(boot(node).view()));
    *record.mutable_hello()->mutable_tail() = model::tail_of(seen, clock);
    return stamp(record);
  }
  std::string noop(const model::Position& seen, model::Instant clock = {}) {
    v1::Record record;
    *record.mutable_noop()->mutable_tail() = model::tail_of(seen, clock);
    return stamp(record);
  }
  std::string change(std::string_view poll, v1::PollAction action, std::uint32_t based_on = 1,
                     std::string_view by = "approver boris", std::string_view reason = "") {
    v1::Record record;
    auto& change = *record.mutable_poll_change();
    change.set_poll(std::string(poll));
    change.set_action(action);
    change.set_based_on(based_on);
    change.set_by(std::string(by));
    change.set_reason(std::string(reason));
    change.set_unix_ms(kEpoch.time_since_epoch().count());
    return stamp(record);
  }
  std::string draft(const model::PollDefinition& poll, std::uint32_t based_on = 0,
                    std::string_view by = "moderator anna") {
    v1::Record record;
    auto& change = *record.mutable_poll_change();
    change.set_poll(poll.id.str());
    change.set_action(v1::POLL_ACTION_DRAFTED);
    change.set_based_on(based_on);
    change.set_by(std::string(by));
    *change.mutable_definition() = model::to_message(poll);
    return stamp(record);
  }
  // From nothing to scheduled.
  std::vector<std::string> schedule(const model::PollDefinition& poll) {
    const auto id = poll.id.view();
    return {draft(poll), change(id, v1::POLL_ACTION_SUBMITTED, 1, "moderator anna"),
            change(id, v1::POLL_ACTION_APPROVED)};
  }
  std::string audit(std::string_view poll, std::string_view by = "auditor vera") {
    v1::Record record;
    record.mutable_audit_read()->set_poll(std::string(poll));
    record.mutable_audit_read()->set_by(std::string(by));
    return stamp(record);
  }
  std::string certificate_part(std::string_view poll, std::uint32_t part, bool last,
                               std::string_view bytes, std::uint32_t based_on = 1) {
    v1::Record record;
    auto& certificate = *record.mutable_certificate();
    certificate.set_poll(std::string(poll));
    certificate.set_part(part);
    certificate.set_last(last);
    certificate.set_compressed(std::string(bytes));
    if (last) certificate.set_sha256(std::string(32, 's'));
    certificate.set_by("certifier gleb");
    certificate.set_unix_ms(kEpoch.time_since_epoch().count());
    certificate.set_based_on(based_on);
    return stamp(record);
  }
  std::string tree_part(std::uint32_t version, std::uint32_t part, bool last, std::string_view csv,
                        std::string_view valid_from = "2026-01-01") {
    v1::Record record;
    auto& territories = *record.mutable_territories();
    territories.set_version(version);
    territories.set_part(part);
    territories.set_last(last);
    territories.set_csv(std::string(csv));
    territories.set_valid_from(std::string(valid_from));
    return stamp(record);
  }
  std::string tree(std::uint32_t version = 1) { return tree_part(version, 0, true, kTreeCsv); }

 private:
  model::RecordWriter writer_;
};

// A record in our envelope, of a kind that this program does not know.
inline std::string record_of_the_future() {
  v1::Record record;
  model::RecordWriter(boot(9), 1).stamp(record);
  return record.SerializeAsString() + std::string("\xA2\x06\x00", 3);  // field 100: empty message
}

// What an index has on its disk: the last whole checkpoint.
struct MemoryDisk {
  using Key = std::tuple<model::PartitionId, model::PollNumber, model::VoterKey>;
  std::map<Key, model::Counted> voters;
  std::map<model::PartitionId, model::PartitionImage> images;
};

// An index whose checkpoints are written when the test says so: a crash before that loses them.
class MemoryIndex final : public model::Index {
 public:
  explicit MemoryIndex(MemoryDisk& disk) : disk_(disk) {}

  std::optional<model::Counted> find(model::PartitionId partition, model::PollNumber poll,
                                     const model::VoterKey& of) override {
    const MemoryDisk::Key key{partition, poll, of};
    for (const auto* voters : {&recent_, &frozen_, &disk_.voters})
      if (const auto found = voters->find(key); found != voters->end()) return found->second;
    return std::nullopt;
  }
  void insert(model::PartitionId partition, model::PollNumber poll, const model::VoterKey& of,
              const model::Counted& counted) override {
    recent_.insert_or_assign({partition, poll, of}, counted);
  }
  model::PartitionImage load(model::PartitionId partition) override {
    const auto found = disk_.images.find(partition);
    return found == disk_.images.end() ? model::PartitionImage{partition, {}, {}, 0, 0, {}}
                                       : found->second;
  }
  std::size_t recent() const override { return recent_.size(); }
  bool ready_for_checkpoint() const override { return !writing_; }
  void begin_checkpoint(std::vector<model::PartitionImage> images) override {
    finish_checkpoint();
    frozen_ = std::exchange(recent_, {});
    frozen_images_ = std::move(images);
    writing_ = true;
  }
  void finish_checkpoint() override {
    for (auto& image : frozen_images_) merge(std::move(image));
    for (const auto& [key, counted] : frozen_) disk_.voters.insert_or_assign(key, counted);
    frozen_images_.clear();
    frozen_.clear();
    writing_ = false;
  }

 private:
  void merge(model::PartitionImage image) {
    auto& kept = disk_.images[image.partition];
    auto polls = std::move(kept.polls);
    for (auto& poll : image.polls) {
      if (poll.number.value >= polls.size()) polls.resize(poll.number.value + 1);
      polls[poll.number.value] = std::move(poll);
    }
    kept = std::move(image);
    kept.polls = std::move(polls);
  }

  MemoryDisk& disk_;
  std::map<MemoryDisk::Key, model::Counted> recent_;
  std::map<MemoryDisk::Key, model::Counted> frozen_;
  std::vector<model::PartitionImage> frozen_images_;
  bool writing_ = false;
};

}  // namespace veche::samples
