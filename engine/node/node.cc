#include "engine/node/node.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/model/assert.h"
#include "engine/model/limits.h"
#include "engine/model/thread_name.h"

namespace veche::node {
namespace {

class MailSink final : public model::LogSink {
 public:
  explicit MailSink(Mailbox& mailbox) : mailbox_(mailbox) {}
  void deliver(model::PartitionId partition, model::Offset first, model::RecordBatch records,
               model::Offset durable) override {
    mailbox_.push(
        Delivery{partition, first, std::move(records), durable, std::chrono::steady_clock::now()});
  }

 private:
  Mailbox& mailbox_;
};

std::vector<model::PartitionId> dealt(std::uint16_t partitions, std::size_t shards,
                                      std::size_t shard) {
  std::vector<model::PartitionId> ids;
  for (auto p = static_cast<std::uint16_t>(shard); p < partitions;
       p = static_cast<std::uint16_t>(p + shards))
    ids.push_back({p});
  return ids;
}

}  // namespace

model::Instant wall_clock() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// Whether the wall clock went another way than time since it was asked last.
class ClockStep {
 public:
  bool stepped(model::Instant wall, std::chrono::steady_clock::time_point steady) {
    const auto apart = std::chrono::abs((wall - wall_) - (steady - steady_));
    const bool is_first = wall_ == model::Instant();
    wall_ = wall;
    steady_ = steady;
    return !is_first && apart > limits::kClockSkew;
  }

 private:
  model::Instant wall_;
  std::chrono::steady_clock::time_point steady_;
};

struct Node::ShardThread {
  ShardThread(std::vector<model::PartitionId> partitions, Node& node, model::Index& index,
              std::uint8_t lane)
      : owned(partitions),
        sink(mailbox),
        shard(std::move(partitions), node.log_, index,
              model::RecordWriter(node.options_.boot, lane), node.options_.node_id, node),
        figures(owned.size()) {
    shard.leave(figures);
  }

  const std::vector<model::PartitionId> owned;
  Mailbox mailbox;
  MailSink sink;
  Shard shard;
  ShardFigures figures;
  std::thread thread;
};

Node::Node(model::Log& log, std::vector<model::Index*> indexes, NodeOptions options)
    : log_(log),
      options_(std::move(options)),
      steward_(log, model::RecordWriter(options_.boot, 0), options_.node_id, *this),
      steward_sink_(std::make_unique<MailSink>(steward_mail_)),
      directory_(std::make_shared<const model::Directory>()) {
  for (std::size_t s = 0; s < indexes.size(); ++s)
    shards_.push_back(std::make_unique<ShardThread>(dealt(log.partitions(), indexes.size(), s),
                                                    *this, *indexes[s],
                                                    static_cast<std::uint8_t>(s + 1)));
}

Node::~Node() { VECHE_ASSERT(!steward_thread_.joinable(), "a node is drained before it goes"); }

Result<void> Node::start() {
  for (const auto& shard : shards_)
    for (const auto& [id, position] : shard->shard.positions())
      if (log_.lacks(id, position.next))
        return Fault{fmt::format(
            "partition {}: the index has applied {} records, but the log holds only {}: the log "
            "was cut, or belongs to another index. Restore the log; if its loss is accepted, "
            "delete the index folder, and it is rebuilt from what the log still holds",
            id.value, position.next.value, log_.end(id).offset.value)};
  steward_thread_ = std::thread([this] { run_steward(); });
  log_.consume(model::kControl, {0}, *steward_sink_);
  steward_mail_.push([this] { steward_.say_hello(wall_clock()); });
  for (auto& shard : shards_) {
    shard->thread = std::thread([this, &shard = *shard] { run_shard(shard); });
    // The last applied record comes once more: it tells whether the log is still the same.
    for (const auto& [id, position] : shard->shard.positions())
      log_.consume(id, {position.next.value - (position.next.value > 0)}, shard->sink);
    shard->mailbox.push([&shard = *shard] { shard.shard.say_hello(wall_clock()); });
  }
  return {};
}

// One round: everything that has arrived is taken, applied and decided; then what it led to is
// handed over at once, to the log and to those who asked.
void Node::run_shard(ShardThread& self) {
  model::name_thread("shard");
  std::uint64_t answered = 0;
  auto next_tick = std::chrono::steady_clock::now();
  for (bool stop = false; !stop;) {
    auto mail = self.mailbox.take(limits::kTick);
    const auto now = wall_clock();
    for (auto& delivery : mail.deliveries) {
      self.shard.deliver(delivery.partition, delivery.first, delivery.records, delivery.durable,
                         now);
      self.shard.checkpoint_if_due(now);
      if (options_.on_applied)
        options_.on_applied(std::chrono::steady_clock::now() - delivery.arrived);
    }
    for (auto& call : mail.calls) call();
    for (auto& request : mail.requests) self.shard.submit(std::move(request), now);
    if (std::chrono::steady_clock::now() >= next_tick) {
      self.shard.tick(now);
      self.shard.checkpoint_if_due(now);
      next_tick = std::chrono::steady_clock::now() + limits::kTick;
    }
    self.shard.flush();
    self.shard.leave(self.figures);
    release(self.shard.answered() - std::exchange(answered, self.shard.answered()));
    stop = mail.stop;
  }
  self.mailbox.close();
}

void Node::run_steward() {
  model::name_thread("steward");
  auto next_tick = std::chrono::steady_clock::now();
  ClockStep clock;
  const auto interval =
      std::min<std::chrono::milliseconds>(limits::kStewardTick, options_.publish_interval);
  for (bool stop = false; !stop;) {
    auto mail = steward_mail_.take(interval);
    const auto now = wall_clock();
    if (clock.stepped(now, std::chrono::steady_clock::now())) steward_.clock_stepped(now);
    for (auto& delivery : mail.deliveries)
      steward_.deliver(delivery.first, delivery.records, delivery.durable, now);
    for (auto& call : mail.calls) call();
    publish_due(now);
    if (std::chrono::steady_clock::now() >= next_tick) {
      steward_.tick(now);
      clock_is_off_ = steward_.clock_is_off(now);
      next_tick = std::chrono::steady_clock::now() + limits::kStewardTick;
    }
    steward_.flush();
    stop = mail.stop;
  }
  steward_mail_.close();
}

// The tallies are the shards'; what is made of them is decided on this thread again.
void Node::publish_due(model::Instant now) {
  for (const auto& poll : steward_.take_due_publications(options_.publish_interval, now))
    collect(poll, [this, poll](Collected collected) {
      const auto gathered = std::make_shared<const Collected>(std::move(collected));
      when_durable(*gathered, [this, poll, gathered](bool durable) {
        steward_mail_.push([this, poll, gathered, durable] {
          steward_.publish(poll, durable ? *gathered : Collected(), wall_clock());
        });
      });
    });
}

void Node::when_durable(const Collected& collected, std::function<void(bool)> done) {
  struct Waiting {
    std::atomic<std::size_t> missing;
    std::atomic<bool> durable{true};
    std::function<void(bool)> done;
  };
  const auto waiting = std::make_shared<Waiting>();
  waiting->missing = collected.partials.size();
  waiting->done = std::move(done);
  for (const auto& partial : collected.partials)
    when_applied(partial.partition, partial.position.next, [waiting](bool applied) {
      if (!applied) waiting->durable = false;
      if (--waiting->missing == 0) waiting->done(waiting->durable);
    });
}

bool Node::reserve(std::size_t ballots) {
  const auto more = static_cast<std::int64_t>(ballots);
  constexpr auto kMost = static_cast<std::int64_t>(limits::kBallotsInFlight);
  if (in_flight_.fetch_add(more, std::memory_order_relaxed) + more <= kMost) return true;
  release(ballots);
  return false;
}

void Node::release(std::size_t ballots) {
  in_flight_.fetch_sub(static_cast<std::int64_t>(ballots), std::memory_order_relaxed);
}

void Node::submit(std::vector<BallotRequest> requests) {
  if (shards_.size() == 1) return shards_[0]->mailbox.push(std::move(requests));
  std::vector<std::vector<BallotRequest>> by_shard(shards_.size());
  for (auto& request : requests) {
    const auto partition = model::partition_of(request.poll, request.voter, log_.partitions());
    by_shard[partition.value % shards_.size()].push_back(std::move(request));
  }
  for (std::size_t s = 0; s < by_shard.size(); ++s)
    if (!by_shard[s].empty()) shards_[s]->mailbox.push(std::move(by_shard[s]));
}

std::shared_ptr<const model::Directory> Node::directory() const { return directory_.load(); }

void Node::change(PollChangeRequest request, ChangeDone done) {
  steward_mail_.push([this, request = std::move(request), done = std::move(done)]() mutable {
    steward_.change(std::move(request), std::move(done), wall_clock());
  });
}

void Node::certify(CertifyRequest request, ChangeDone done) {
  steward_mail_.push([this, request = std::move(request), done = std::move(done)]() mutable {
    steward_.certify(std::move(request), std::move(done), wall_clock());
  });
}

void Node::audit(const model::PollId& poll, std::string by, ChangeDone done) {
  steward_mail_.push([this, poll, by = std::move(by), done = std::move(done)]() mutable {
    steward_.audit(poll, std::move(by), std::move(done), wall_clock());
  });
}

void Node::add_tree(std::string csv, model::Date valid_from, std::string by, ChangeDone done) {
  steward_mail_.push([this, csv = std::move(csv), valid_from,
                      by = std::move(by), done = std::move(done)]() mutable {
    steward_.add_tree(std::move(csv), valid_from, std::move(by), std::move(done),
                      wall_clock());
  });
}

void Node::barrier(std::function<void(bool passed)> done) {
  steward_mail_.push([this, done = std::move(done)]() mutable {
    steward_.barrier([done = std::move(done)](bool passed, model::Instant) { done(passed); },
                     wall_clock());
  });
}

void Node::collect(const model::PollId& poll, std::function<void(Collected)> done) {
  struct Gathering {
    std::mutex mutex;
    Collected collected;
    std::size_t missing;
    std::function<void(Collected)> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->collected.poll = directory()->find(poll);
  gathering->missing = shards_.size();
  gathering->done = std::move(done);
  for (auto& shard : shards_) {
    shard->mailbox.push([gathering, poll, &shard = *shard] {
      auto partials = shard.shard.collect(poll);
      const std::lock_guard lock(gathering->mutex);
      auto& all = gathering->collected.partials;
      std::move(partials.begin(), partials.end(), std::back_inserter(all));
      if (--gathering->missing > 0) return;
      std::sort(all.begin(), all.end(),
                [](const auto& a, const auto& b) { return a.partition < b.partition; });
      const auto oldest = std::min_element(
          all.begin(), all.end(), [](const auto& a, const auto& b) { return a.as_of < b.as_of; });
      gathering->collected.as_of = oldest->as_of;
      gathering->done(std::move(gathering->collected));
    });
  }
}

void Node::when_applied(model::PartitionId partition, model::Offset offset,
                        std::function<void(bool)> done) {
  auto& shard = owner(partition);
  shard.mailbox.push([&shard, partition, offset, done = std::move(done)]() mutable {
    shard.shard.when_applied(partition, offset, std::move(done));
  });
}

std::string Node::why_not_ready() const {
  if (!serves()) return failed_ ? "It has failed." : "It is catching up with the log.";
  if (clock_is_off_)
    return fmt::format("Its clock is more than {} s from those of the other nodes: set it right.",
                       limits::kClockSkew.count());
  // Where some partitions do not go, this node is as good as another: their voters are refused at
  // once, and everybody else is served.
  const auto [stuck, why] = trouble();
  const bool takes_any = std::count(stuck.begin(), stuck.end(), model::kControl) + partitions() >
                         static_cast<std::ptrdiff_t>(stuck.size());
  return takes_any ? std::string() : why;
}

LogTrouble Node::trouble() const {
  LogTrouble trouble;
  const auto look = [&](model::PartitionId partition) {
    auto why = log_.trouble(partition);
    if (why.empty()) return;
    trouble.partitions.push_back(partition);
    if (trouble.why.empty()) trouble.why = std::move(why);
  };
  for (std::uint16_t p = 0; p < partitions(); ++p) look({p});
  look(model::kControl);
  return trouble;
}

NodeStatus Node::status() const {
  NodeStatus status;
  for (const auto& shard : shards_) {
    const auto& figures = shard->figures;
    for (std::size_t p = 0; p < shard->owned.size(); ++p)
      status.applied.emplace_back(
          shard->owned[p], model::Offset{figures.applied[p].load(std::memory_order_relaxed)});
    status.invalid += figures.invalid.load(std::memory_order_relaxed);
    status.duplicates += figures.duplicates.load(std::memory_order_relaxed);
  }
  return status;
}

// --- Events of the engine threads --------------------------------------------------------------

void Node::serving(model::PartitionId partition, const model::Position& before) {
  options_.on_position("start", partition, before);
  if (++serving_ == log_.partitions() + std::size_t{1})
    serves_.store(true, std::memory_order_release);
}

void Node::settled(model::PartitionId partition, const model::PollId& poll, bool closed) {
  steward_mail_.push(
      [this, partition, poll, closed] { steward_.settled(partition, poll, closed); });
}

void Node::fatal(model::PartitionId, StopReason reason, const std::string& why) {
  serves_ = false;
  if (!failed_.exchange(true)) options_.on_fatal(reason, why);
}

void Node::directory_changed(std::shared_ptr<const model::Directory> directory,
                             const std::vector<model::PollId>& changed) {
  directory_.store(directory);
  directory_version_.fetch_add(1, std::memory_order_release);
  if (changed.empty()) return;
  for (auto& shard : shards_)
    shard->mailbox.push([&shard = *shard, directory, changed] {
      shard.shard.update(directory, changed, wall_clock());
    });
}

Node::ShardThread& Node::owner(model::PartitionId partition) {
  return *shards_[partition.value % shards_.size()];
}

// --- The end -----------------------------------------------------------------------------------

// 1. The log takes nothing more, and delivers what it had.  2. The shards apply that, and end.
// 3. What they applied becomes the last checkpoint.
void Node::drain() {
  serves_ = false;
  log_.close();
  for (auto& shard : shards_) {
    shard->mailbox.stop();
    if (shard->thread.joinable()) shard->thread.join();
  }
  steward_mail_.stop();
  if (steward_thread_.joinable()) steward_thread_.join();
  for (auto& shard : shards_) {
    if (!failed_) shard->shard.final_checkpoint();
    for (const auto& [id, position] : shard->shard.positions())
      options_.on_position("stop", id, position);
  }
  options_.on_position("stop", model::kControl, steward_.position());
}

}  // namespace veche::node
