// A seeded simulation of whole clusters: the bare Shard and Steward of 1..5 nodes over one log,
// with clients that do not give up. One thread, no clock, no I/O: a seed is a run.
//
// What may happen while faults are on: a record lands in the log late, out of order, twice or
// never; an append is refused; records are delivered again; the durable mark lags behind; a node
// dies and comes back with its last checkpoint or with nothing; a voter asks several nodes at
// once, with other answers too. Then the faults stop, and everybody must get a definite answer. The
// last poll discloses in steps: whichever node comes first writes what it shows next.
//
// Some runs are of one node whose log nobody else writes into: what it takes comes back once, in
// order, or was still in the process that died.
//
// All the while nodes are asked what control says: an answer from before the question is a fault.
//
// The checker below reads the log with rules of its own and holds everything against it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/node/shard.h"
#include "engine/node/steward.h"
#include "tests/engine/samples.h"

namespace veche::simulator {

using model::Instant;
using model::Offset;
using model::Outcome;
using model::PartitionId;
using namespace std::chrono_literals;

inline constexpr std::uint16_t kPartitions = 2;
inline constexpr int kPolls = 3;
inline constexpr int kVoters = 16;
inline constexpr std::uint64_t kLeastVoters = 2;  // of a batch that comes out
inline constexpr auto kPublishEvery = 1s;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t sides) { return engine_() % sides; }
  bool chance(int percent) { return below(100) < static_cast<std::size_t>(percent); }

 private:
  std::mt19937_64 engine_;
};

// How often the things happened that a run is about: a simulator that meets no fault proves none.
struct Seen {
  int counted = 0, accepted = 0, recorded = 0, already_voted = 0, closed = 0, unknown = 0;
  int duplicates = 0, behind_close = 0, crashes = 0, rebuilds = 0, lost = 0, doubled = 0;
  int redelivered = 0, checkpoints = 0;
  int shared_barriers = 0, sole_barriers = 0, given_up_barriers = 0;
  int publications = 0, batches = 0;
};

// Voters live in two places.
inline model::TerritoryCode place_of(std::uint64_t voter) {
  return samples::territory(voter % 2 == 0 ? "75701000" : "75800000");
}

inline model::PollDefinition poll_in_steps(std::string_view id) {
  auto poll = samples::poll_of_one_question(id);
  poll.disclosure = model::Disclosure::steps;
  poll.least_voters = kLeastVoters;
  for (const std::uint64_t voter : {0, 1}) poll.expected_voters.emplace(place_of(voter), 100);
  return poll;
}

// What nodes showed of the poll in steps, by version, and whether two showed something else.
struct ShownVersions {
  std::map<std::uint64_t, std::shared_ptr<const model::Publication>> all;
  bool differ = false;
};

// The log that all nodes share: what is in it, and what is on its way.
struct SharedLog {
  struct InFlight {
    PartitionId partition;
    std::string record;
    Instant not_before = {};
  };
  std::vector<std::string>& records(PartitionId id) {
    return all[id == model::kControl ? kPartitions : id.value];
  }
  std::array<std::vector<std::string>, kPartitions + 1> all;
  std::vector<InFlight> in_flight;
  bool has_sole_writer = false;
};

// One node's connection to it.
class NodeLog final : public model::Log {
 public:
  struct Cursor {
    PartitionId partition;
    std::size_t next = 0;
    std::size_t durable = 0;
  };

  NodeLog(SharedLog& shared, const bool& refusing) : shared_(shared), refusing_(refusing) {}

  std::uint16_t partitions() const override { return kPartitions; }
  model::LogId id() const override { return {}; }
  bool sole_writer() const override { return shared_.has_sole_writer; }
  model::AppendStatus append(PartitionId partition, model::RecordBatch records) override {
    if (refusing_) return model::AppendStatus::full;
    for (const auto record : records)
      shared_.in_flight.push_back({partition, std::string(record), {}});
    return model::AppendStatus::queued;
  }
  void consume(PartitionId partition, Offset from, model::LogSink&) override {
    cursors.push_back({partition, from.value, from.value});
  }
  model::LogEnd end(PartitionId partition) const override {
    return {{shared_.records(partition).size()}, now};
  }
  std::string trouble(PartitionId) const override { return {}; }
  void abandon_replay() override {}
  void close() override {}

  Instant now;  // by the node's clock

  std::vector<Cursor> cursors;

 private:
  SharedLog& shared_;
  const bool& refusing_;
};

// One process: steward and shards, and the calls between them that are on their way.
class SimNode final : node::ShardEvents, node::StewardEvents {
 public:
  SimNode(SharedLog& shared, std::vector<samples::MemoryDisk>& disks, std::uint64_t boot,
          std::uint64_t node_id, const bool& refusing, ShownVersions& shown,
          std::vector<std::string>& broken, Instant now)
      : log(shared, refusing),
        steward(log, model::RecordWriter(samples::boot(boot), 0), samples::boot(node_id), *this),
        now_(now),
        shown_(shown),
        broken_(broken) {
    struct Nobody final : model::LogSink {
      void deliver(PartitionId, Offset, model::RecordBatch, Offset) override {}
    } nobody;
    log.consume(model::kControl, {0}, nobody);
    for (std::size_t s = 0; s < disks.size(); ++s) {
      std::vector<PartitionId> owned;
      for (std::size_t p = s; p < kPartitions; p += disks.size())
        owned.push_back({static_cast<std::uint16_t>(p)});
      indexes.push_back(std::make_unique<samples::MemoryIndex>(disks[s]));
      shards.push_back(std::make_unique<node::Shard>(
          owned, log, *indexes[s],
          model::RecordWriter(samples::boot(boot), static_cast<std::uint8_t>(s + 1)),
          samples::boot(node_id), static_cast<node::ShardEvents&>(*this)));
      for (const auto& [id, position] : shards[s]->positions())
        log.consume(id, position.next, nobody);
    }
    mail.resize(shards.size() + 1);
    steward.say_hello(now);
    for (auto& shard : shards) shard->say_hello(now);
  }

  std::size_t shard_of(PartitionId id) const { return id.value % shards.size(); }

  // Everything that the node does happens at a time.
  void at(Instant now) { log.now = now_ = now; }
  Instant now() const { return now_; }
  void tick() {
    steward.tick(now_);
    for (auto& shard : shards) shard->tick(now_);
    for (const auto& poll : steward.take_due_publications(kPublishEvery, now_)) gather(poll);
  }
  void flush() {
    steward.flush();
    for (auto& shard : shards) shard->flush();
  }
  void deliver(PartitionId id, std::size_t first, const model::RecordBatch& records,
               std::size_t durable) {
    if (id == model::kControl) return steward.deliver({first}, records, {durable}, now_);
    shards[shard_of(id)]->deliver(id, {first}, records, {durable}, now_);
  }
  void run_mail(std::size_t to) {
    if (mail[to].empty()) return;
    const auto call = std::move(mail[to].front());
    mail[to].pop_front();
    call();
  }

  NodeLog log;
  std::vector<std::unique_ptr<samples::MemoryIndex>> indexes;
  std::vector<std::unique_ptr<node::Shard>> shards;
  node::Steward steward;
  std::vector<std::deque<std::function<void()>>> mail;  // to the steward, then to each shard
  std::shared_ptr<const model::Directory> directory = std::make_shared<model::Directory>();

 private:
  void serving(PartitionId, const model::Position&) override {}
  void settled(PartitionId partition, const model::PollId& poll, bool closed) override {
    mail[0].push_back(
        [this, partition, poll, closed] { steward.settled(partition, poll, closed); });
  }
  void fatal(PartitionId, node::StopReason, const std::string& why) override {
    broken_.push_back("fatal: " + why);
  }
  void directory_changed(std::shared_ptr<const model::Directory> now_holds,
                         const std::vector<model::PollId>& changed) override {
    directory = now_holds;
    for (const auto& [id, poll] : directory->polls) note(*poll);  // a publication changes no poll
    if (changed.empty()) return;
    for (std::size_t s = 0; s < shards.size(); ++s)
      mail[s + 1].push_back(
          [this, s, now_holds, changed] { shards[s]->update(now_holds, changed, now_); });
  }

  // As node::Node does: the tallies of all shards, then that they are durable, then the steward.
  void gather(const model::PollId& poll) {
    const auto gathered = std::make_shared<node::Collected>();
    gathered->poll = directory->find(poll);
    const auto missing = std::make_shared<std::size_t>(shards.size());
    for (std::size_t s = 0; s < shards.size(); ++s)
      mail[s + 1].push_back([this, s, poll, gathered, missing] {
        auto partials = shards[s]->collect(poll);
        auto& all = gathered->partials;
        std::move(partials.begin(), partials.end(), std::back_inserter(all));
        if (--*missing > 0) return;
        std::sort(all.begin(), all.end(),
                  [](const auto& a, const auto& b) { return a.partition < b.partition; });
        prove(poll, gathered);
      });
  }
  void prove(const model::PollId& poll, const std::shared_ptr<const node::Collected>& gathered) {
    const auto missing = std::make_shared<std::size_t>(gathered->partials.size());
    const auto all_durable = std::make_shared<bool>(true);
    for (const auto& partial : gathered->partials)
      mail[shard_of(partial.partition) + 1].push_back(
          [this, poll, gathered, missing, all_durable, at = partial] {
            shards[shard_of(at.partition)]->when_applied(
                at.partition, at.position.next,
                [this, poll, gathered, missing, all_durable](bool durable) {
                  *all_durable = *all_durable && durable;
                  if (--*missing > 0) return;
                  mail[0].push_back([this, poll, gathered, all_durable] {
                    steward.publish(poll, *all_durable ? *gathered : node::Collected(), now_);
                  });
                });
          });
  }

  void note(const model::PollEntry& poll) {
    if (!poll.publication) return;
    const auto& now = *poll.publication;
    const auto& before = *shown_.all.emplace(now.version, poll.publication).first->second;
    const auto same_cell = [](const auto& a, const auto& b) {
      return !a == !b && (!a || (a->shown == b->shown && a->held == b->held));
    };
    const bool same = std::equal(now.cells.begin(), now.cells.end(), before.cells.begin(),
                                 before.cells.end(), same_cell);
    if (!same || now.cut != before.cut || now.shown_at != before.shown_at ||
        now.turnout != before.turnout || now.is_final != before.is_final)
      shown_.differ = true;
  }

  Instant now_;
  ShownVersions& shown_;
  std::vector<std::string>& broken_;
};

// One run.
class World final : node::ReplySink {
 public:
  explicit World(std::uint64_t seed) : dice_(seed) {
    for (auto& records : log_.all) records.push_back(samples::Writer(999, 9).genesis(kPartitions));
    samples::Writer writer(999, 8);
    polls_ = {samples::poll_of_one_question("first"), samples::poll_of_one_question("second"),
              poll_in_steps("third")};
    for (auto& poll : polls_) {
      poll.opens_at = now_ + std::chrono::milliseconds(dice_.below(6'000));
      poll.closes_at = poll.opens_at + 8s + std::chrono::milliseconds(dice_.below(20'000));
    }
    polls_[1].closes_at += std::chrono::hours(dice_.below(2));  // or it stays open
    polls_[2].closes_at += 12s;                                 // time for some publications
    log_.records(model::kControl).push_back(writer.tree());
    for (const auto& poll : polls_)
      for (auto& record : writer.schedule(poll))
        log_.records(model::kControl).push_back(std::move(record));
    log_.has_sole_writer = dice_.chance(20);
    slots_.resize(log_.has_sole_writer ? 1 : 1 + dice_.below(5));
    const auto shards = 1 + dice_.below(2);
    for (auto& slot : slots_) {
      slot.disks.resize(shards);
      slot.skew = std::chrono::milliseconds(dice_.below(2'001)) - 1s;
    }
    for (auto& slot : slots_) start(slot);
    for (int v = 0; v < kVoters; ++v)
      for (std::size_t device = 0; device < 1 + dice_.below(3); ++device)
        clients_.push_back({.voter = static_cast<std::uint64_t>(v),
                            .poll = dice_.chance(50) ? kPolls - 1 : dice_.below(kPolls),
                            .option = static_cast<std::uint16_t>(dice_.below(3)),
                            .wakes = now_ + std::chrono::milliseconds(dice_.below(40'000))});
  }

  // What was broken; empty: nothing.
  const std::vector<std::string>& run() {
    const auto faults_until = now_ + 45s;
    while (now_ < faults_until && broken_.empty()) step();
    faults_ = false;
    refusing_ = false;
    for (auto& slot : slots_)
      if (!slot.node) start(slot);
    const auto deadline = now_ + 120s;
    while (broken_.empty() && !settled()) {
      if (now_ > deadline) {
        broken_.push_back(why_not_settled());
        break;
      }
      step();
    }
    if (broken_.empty()) check();
    return broken_;
  }
  const Seen& seen() const { return seen_; }

 private:
  struct Slot {
    std::vector<samples::MemoryDisk> disks;
    std::chrono::milliseconds skew{0};  // of its clock
    std::unique_ptr<SimNode> node;
    int questions = 0;  // that are not answered
  };
  struct Client {
    std::uint64_t voter;
    std::size_t poll;
    std::uint16_t option;
    Instant wakes;  // asks, or gives up waiting and asks again
    std::uint64_t waits_for = 0;
    bool done = false;
  };
  struct Asked {
    std::size_t client;
    std::uint64_t voter;
    std::size_t poll;
    std::optional<model::Digest> digest;
  };
  struct Answered {
    Asked asked;
    node::Reply reply;
  };

  // --- What happens ---

  void step() {
    now_ += std::chrono::milliseconds(dice_.below(40));
    if (faults_ && dice_.chance(1)) refusing_ = !refusing_ && dice_.chance(30);
    const auto what = dice_.below(100);
    if (what < 30) return land();
    if (what < 60) return deliver();
    if (what < 75) return ask();
    if (what < 85) return tick();
    if (what < 95) return run_mail();
    if (what < 97) return question();
    if (what < 99) return checkpoint();
    crash_or_restart();
  }

  void start(Slot& slot) {
    const auto id = static_cast<std::uint64_t>(&slot - slots_.data());
    slot.node =
        std::make_unique<SimNode>(log_, slot.disks, ++boots_, id, refusing_, shown_, broken_, now_);
    slot.node->flush();
  }

  SimNode* any_node() {
    auto& slot = slots_[dice_.below(slots_.size())];
    if (slot.node) slot.node->at(now_ + slot.skew);
    return slot.node.get();
  }
  // The node's round ends with a flush; a few rounds take in more than one thing.
  void end_round(SimNode& node) {
    if (dice_.chance(80)) node.flush();
  }

  void land() {
    for (int i = 0; i < 3 && !log_.in_flight.empty(); ++i) {
      if (log_.has_sole_writer) {
        land_first();
        continue;
      }
      const auto which = faults_ ? dice_.below(log_.in_flight.size()) : 0;
      const auto at = log_.in_flight.begin() + static_cast<std::ptrdiff_t>(which);
      if (faults_ && at->not_before > now_) continue;
      if (faults_ && dice_.chance(8)) {
        at->not_before = now_ + std::chrono::milliseconds(dice_.below(40'000));  // may pass CLOSE
        continue;
      }
      if (faults_ && dice_.chance(5)) {
        ++seen_.lost;
      } else {
        log_.records(at->partition).push_back(at->record);
        if (faults_ && dice_.chance(5)) {
          ++seen_.doubled;
          continue;  // it is still on its way, and lands again
        }
      }
      log_.in_flight.erase(at);
    }
  }

  void land_first() {
    const auto first = log_.in_flight.begin();
    log_.records(first->partition).push_back(std::move(first->record));
    log_.in_flight.erase(first);
  }

  void deliver() {
    auto* node = any_node();
    if (!node) return;
    auto& cursor = node->log.cursors[dice_.below(node->log.cursors.size())];
    const auto& records = log_.records(cursor.partition);
    const bool may_fail = faults_ && !log_.has_sole_writer;
    if (may_fail && dice_.chance(2)) {
      cursor.next -= std::min(cursor.next, dice_.below(5));
      ++seen_.redelivered;
    }
    const auto count = std::min(records.size() - cursor.next, 1 + dice_.below(20));
    if (count == 0) return;
    model::RecordBatch batch;
    for (std::size_t i = 0; i < count; ++i) batch.push(records[cursor.next + i]);
    const auto end = cursor.next + count;
    const auto lag = may_fail && dice_.chance(40) ? dice_.below(6) : 0;
    cursor.durable = std::max(cursor.durable, end - std::min(end, lag));
    const auto first = std::exchange(cursor.next, end);
    node->deliver(cursor.partition, first, batch, cursor.durable);
    end_round(*node);
  }

  void ask() {
    auto& client = clients_[dice_.below(clients_.size())];
    auto* node = any_node();
    if (!node || client.done || now_ < client.wakes) return;
    if (faults_ && dice_.chance(20)) client.option = static_cast<std::uint16_t>(dice_.below(3));
    const auto& poll = polls_[client.poll];
    node::BallotRequest request;
    request.poll = poll.id;
    request.voter = samples::voter(client.voter);
    request.reply_to = this;
    request.ticket = client.waits_for = ++tickets_;
    const auto answers = samples::choose(client.option);
    if (faults_ && dice_.chance(5)) {
      request.refusal = Outcome::invalid_answer;
    } else {
      request.digest = samples::digest_of(answers);
      request.ballot = model::serialize_ballot(poll.id, request.voter, place_of(client.voter), 3,
                                               model::serialize(answers), *request.digest, 500'000);
    }
    const auto client_number = static_cast<std::size_t>(&client - clients_.data());
    asked_[request.ticket] = {client_number, client.voter, client.poll, request.digest};
    client.wakes = now_ + 1s + std::chrono::milliseconds(dice_.below(12'000));
    const auto shard = node->shard_of(model::partition_of(poll.id, request.voter, kPartitions));
    node->shards[shard]->submit(std::move(request), node->now());
    end_round(*node);
  }

  void deliver(std::vector<node::Reply> replies) override {
    for (const auto& reply : replies) {
      const auto asked = asked_.find(reply.ticket);
      if (asked == asked_.end()) {
        broken_.push_back(fmt::format("ticket {} is answered twice", reply.ticket));
        continue;
      }
      hear(asked->second, reply);
      asked_.erase(asked);
    }
  }

  void hear(const Asked& asked, const node::Reply& reply) {
    answered_.push_back({asked, reply});
    auto& client = clients_[asked.client];
    switch (reply.outcome) {
      case Outcome::accepted:
        ++seen_.accepted;
        break;
      case Outcome::recorded:
        ++seen_.recorded;
        break;
      case Outcome::already_voted:
        ++seen_.already_voted;
        break;
      case Outcome::poll_closed:
        ++seen_.closed;
        break;
      default:
        ++seen_.unknown;
        return;
    }
    if (client.waits_for != reply.ticket) return;  // it had given up
    client.done = !faults_ || dice_.chance(70);    // some ask again, to hear the same
  }

  // Is everything applied that was in control, or of a sole writer on its way there, before?
  void question() {
    auto& slot = slots_[dice_.below(slots_.size())];
    if (!slot.node || !faults_) return;
    auto& node = *slot.node;
    node.at(now_ + slot.skew);
    auto least = log_.records(model::kControl).size();
    if (log_.has_sole_writer)
      least += static_cast<std::size_t>(
          std::count_if(log_.in_flight.begin(), log_.in_flight.end(),
                        [](const auto& each) { return each.partition == model::kControl; }));
    ++slot.questions;
    node.steward.barrier(
        [this, &slot, least](bool passed, Instant) {
          --slot.questions;
          if (!passed) {
            ++seen_.given_up_barriers;
            return;
          }
          ++(log_.has_sole_writer ? seen_.sole_barriers : seen_.shared_barriers);
          expect(slot.node->steward.position().next.value >= least,
                 "a question is answered from before it");
        },
        node.now());
    end_round(node);
  }

  void tick() {
    if (auto* node = any_node()) {
      node->tick();
      end_round(*node);
    }
  }

  void run_mail() {
    auto* node = any_node();
    if (!node) return;
    const auto to = dice_.below(node->mail.size());
    // One at a time shows orders that a thread may meet. In the end a queue is worked off, as threads
    // do it: what five nodes have heaped up would outlast the deadline.
    do node->run_mail(to);
    while (!faults_ && !node->mail[to].empty());
    end_round(*node);
  }

  void checkpoint() {
    auto* node = any_node();
    if (!node) return;
    const auto s = dice_.below(node->shards.size());
    ++seen_.checkpoints;
    if (node->indexes[s]->ready_for_checkpoint())
      node->shards[s]->checkpoint_if_due(now_ + std::chrono::hours(1));
    else
      node->indexes[s]->finish_checkpoint();
  }

  void crash_or_restart() {
    auto& slot = slots_[dice_.below(slots_.size())];
    if (!slot.node) return start(slot);
    if (!faults_) return;
    slot.node.reset();
    slot.questions = 0;
    ++seen_.crashes;
    if (log_.has_sole_writer) {
      for (auto left = dice_.below(log_.in_flight.size() + 1); left > 0; --left) land_first();
      log_.in_flight.clear();
    }
    if (!dice_.chance(25)) return;
    slot.disks.assign(slot.disks.size(), {});
    ++seen_.rebuilds;
  }

  // --- The end ---

  bool closes(const model::PollDefinition& poll) const {
    return poll.closes_at < samples::kEpoch + 10min;
  }
  bool settled() { return why_not_settled().empty(); }
  std::string why_not_settled() {
    for (const auto& client : clients_)
      if (!client.done) return fmt::format("voter {} has no definite answer", client.voter);
    if (!log_.in_flight.empty()) return "records are on their way";
    for (const auto& slot : slots_) {
      if (slot.questions > 0) return "a question has no answer";
      for (const auto& cursor : slot.node->log.cursors)
        if (cursor.next != log_.records(cursor.partition).size()) return "a node is behind";
      for (const auto& mail : slot.node->mail)
        if (!mail.empty()) return "mail is waiting";
      for (const auto& shard : slot.node->shards)
        if (!shard->serving()) return "a node does not serve";
      for (const auto& poll : polls_) {
        if (!closes(poll)) continue;
        for (const auto& shard : slot.node->shards)
          for (const auto& partial : shard->collect(poll.id))
            if (!partial.closed) return "a poll is not closed";
        const auto entry = slot.node->directory->find(poll.id);
        if (poll.disclosure == model::Disclosure::steps &&
            !(entry->publication && entry->publication->is_final))
          return "the final result of a poll is not published";
      }
    }
    return {};
  }

  // --- The checker ---

  struct Truth {
    Offset offset;
    model::Digest digest;
    std::uint16_t option;
    PartitionId partition;
  };
  using TruthOfPoll = std::map<std::uint64_t, Truth>;  // by voter
  using AllTruth = std::array<TruthOfPoll, kPolls>;

  void expect(bool holds, std::string what) {
    if (!holds) broken_.push_back(std::move(what));
  }

  std::size_t number_of(std::string_view poll) const {
    return static_cast<std::size_t>(
        std::find_if(polls_.begin(), polls_.end(),
                     [&](const auto& one) { return one.id.view() == poll; }) -
        polls_.begin());
  }

  AllTruth read_truth() {
    AllTruth truth;
    for (std::uint16_t p = 0; p < kPartitions; ++p) {
      std::set<std::string> open, closed;
      const auto& records = log_.records({p});
      for (std::size_t offset = 0; offset < records.size(); ++offset) {
        v1::Record record;
        record.ParseFromString(records[offset]);
        if (record.has_open()) open.insert(record.open().definition().id());
        if (record.has_close() && open.contains(record.close().poll()))
          closed.insert(record.close().poll());
        if (!record.has_ballot() || !open.contains(record.ballot().poll())) continue;
        const auto& ballot = record.ballot();
        auto& voters = truth[number_of(ballot.poll())];
        std::uint64_t voter = 0;
        std::memcpy(&voter, ballot.voter_key().data(), sizeof voter);
        if (closed.contains(ballot.poll())) {
          seen_.behind_close += !voters.contains(voter);
          continue;
        }
        const auto option = static_cast<std::uint16_t>(ballot.answers().answers(0).options(0));
        const bool fresh =
            voters
                .try_emplace(
                    voter,
                    Truth{{offset}, *model::Digest::parse(ballot.digest()), option, PartitionId{p}})
                .second;
        ++(fresh ? seen_.counted : seen_.duplicates);
      }
    }
    return truth;
  }

  void check() {
    const auto truth = read_truth();
    std::set<std::pair<std::size_t, std::uint64_t>> accepted;
    for (const auto& answered : answered_) check_answer(answered, truth, accepted);
    for (auto& slot : slots_) check_tallies(*slot.node, truth);
    check_publications(truth.back());
    if (log_.has_sole_writer) check_questions_wrote_nothing();
    for (auto& slot : slots_) check_rebuilt(*slot.node);
    expect(!shown_.differ, "two nodes show different results as one version");
  }

  void check_answer(const Answered& answered, const AllTruth& truth,
                    std::set<std::pair<std::size_t, std::uint64_t>>& accepted) {
    const auto& [asked, reply] = answered;
    const auto found = truth[asked.poll].find(asked.voter);
    const auto* counted = found == truth[asked.poll].end() ? nullptr : &found->second;
    const bool same = counted && asked.digest == counted->digest;
    const bool named =
        counted && counted->offset == reply.offset && counted->partition == reply.partition;
    const auto who = fmt::format("poll {} voter {}: told ", asked.poll, asked.voter);
    switch (reply.outcome) {
      case Outcome::accepted:
        expect(accepted.insert({asked.poll, asked.voter}).second, who + "accepted twice");
        [[fallthrough]];
      case Outcome::recorded:
        expect(same && named, who + "recorded, which is not so");
        break;
      case Outcome::already_voted:
        expect(counted && !same && named, who + "already voted, which is not so");
        break;
      case Outcome::poll_closed:
        expect(!counted, who + "closed, and is counted");
        break;
      case Outcome::invalid_answer:
      case Outcome::outcome_unknown:
      case Outcome::overloaded:
      case Outcome::starting:
        break;
      default:
        expect(false, who + "something that cannot be");
    }
  }

  void check_tallies(SimNode& node, const AllTruth& truth) {
    for (std::size_t p = 0; p < polls_.size(); ++p) {
      model::Tally sum(polls_[p]), expected(polls_[p]);
      for (const auto& shard : node.shards)
        for (const auto& partial : shard->collect(polls_[p].id))
          if (partial.tally) sum.merge(*partial.tally);
      std::map<std::pair<PartitionId, Offset>, std::pair<std::uint64_t, Truth>> in_log_order;
      for (const auto& [voter, counted] : truth[p])
        in_log_order.insert({{counted.partition, counted.offset}, {voter, counted}});
      for (const auto& [place, ballot] : in_log_order)
        expected.add(polls_[p], place_of(ballot.first), samples::choose(ballot.second.option),
                     500'000);
      expect(sum.ballots() == truth[p].size(),
             fmt::format("poll {}: {} ballots are counted of {} voters", p, sum.ballots(),
                         truth[p].size()));
      expect(sum.serialize() == expected.serialize(), fmt::format("poll {}: wrong votes", p));
    }
  }

  // Cell by cell, from each version that was seen to the next: whole batches come out, of ballots
  // that were counted below the cut, and in the end all of them.
  void check_publications(const TruthOfPoll& truth) {
    std::map<std::size_t, Row> before;
    for (const auto& [version, publication] : shown_.all) {
      ++seen_.publications;
      Row all_shown(kRowWidth), all_taken(kRowWidth);
      for (std::size_t c = 0; c < publication->cells.size(); ++c) {
        const auto& cell = publication->cells[c];
        const auto shown = cell ? padded(cell->shown) : Row(kRowWidth);
        auto& was = before.try_emplace(c, kRowWidth).first->second;
        for (std::size_t i = 0; i < kRowWidth; ++i) {
          expect(shown[i] >= was[i], "what was shown is taken back");
          all_shown[i] += shown[i];
          all_taken[i] += shown[i] + (cell ? padded(cell->held)[i] : 0);
        }
        const auto batch = shown[0] - was[0];
        seen_.batches += batch > 0 && !publication->is_final;
        expect(batch == 0 || batch >= kLeastVoters || publication->is_final,
               "fewer voters came out than may");
        was = shown;
      }
      const auto counted = counted_below(publication->cut, truth);
      for (std::size_t i = 0; i < kRowWidth; ++i)
        expect(publication->is_final ? all_shown[i] == counted[i] : all_taken[i] <= counted[i],
               fmt::format("version {} shows other ballots than were counted", version));
    }
  }

  using Row = std::vector<std::uint64_t>;  // ballots, then each option
  static constexpr std::size_t kRowWidth = 4;
  static Row padded(Row row) {
    row.resize(kRowWidth);
    return row;
  }

  static Row counted_below(const std::vector<Offset>& cut, const TruthOfPoll& truth) {
    Row row(kRowWidth);
    for (const auto& [voter, counted] : truth) {
      if (counted.offset.value >= cut[counted.partition.value].value) continue;
      ++row[0];
      ++row[1u + counted.option];
    }
    return row;
  }

  // What there is proves the tail, once a minute.
  void check_questions_wrote_nothing() {
    const auto& control = log_.records(model::kControl);
    const auto proofs = std::count_if(control.begin(), control.end(), [](const auto& bytes) {
      v1::Record record;
      return record.ParseFromString(bytes) && record.has_noop();
    });
    expect(static_cast<std::uint64_t>(proofs) <= 3 * boots_, "questions wrote into the log");
  }

  // Every node is where a node without any index gets to by reading the log.
  void check_rebuilt(SimNode& node) {
    std::vector<samples::MemoryDisk> empty(node.shards.size());
    SimNode rebuilt(log_, empty, ++boots_, 99, refusing_, shown_, broken_, now_);
    for (auto& cursor : rebuilt.log.cursors) {
      model::RecordBatch all;
      for (const auto& record : log_.records(cursor.partition)) all.push(record);
      rebuilt.deliver(cursor.partition, 0, all, all.count());
    }
    expect(node.steward.position() == rebuilt.steward.position(), "control: positions differ");
    for (std::size_t s = 0; s < node.shards.size(); ++s) {
      auto &left = *node.shards[s], &right = *rebuilt.shards[s];
      expect(left.positions() == right.positions(), "positions differ after a rebuild");
      expect(left.duplicates() == right.duplicates() && left.invalid() == right.invalid(),
             "counters differ after a rebuild");
      for (const auto& poll : polls_) {
        const auto as_it_is = left.collect(poll.id), as_rebuilt = right.collect(poll.id);
        for (std::size_t p = 0; p < as_it_is.size(); ++p)
          expect(as_it_is[p].changes == as_rebuilt[p].changes &&
                     as_it_is[p].closed == as_rebuilt[p].closed &&
                     as_it_is[p].tally->serialize() == as_rebuilt[p].tally->serialize(),
                 "tallies differ after a rebuild");
      }
    }
  }

  Dice dice_;
  Instant now_ = samples::kEpoch;
  bool faults_ = true;
  bool refusing_ = false;
  SharedLog log_;
  std::vector<model::PollDefinition> polls_;
  std::vector<Slot> slots_;
  std::vector<Client> clients_;
  std::uint64_t boots_ = 0;
  std::uint64_t tickets_ = 0;
  std::map<std::uint64_t, Asked> asked_;
  std::vector<Answered> answered_;
  ShownVersions shown_;
  std::vector<std::string> broken_;
  Seen seen_;
};

}  // namespace veche::simulator
