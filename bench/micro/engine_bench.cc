// What the engine's steps of a ballot cost on one core, from the body of the request to the answer,
// with log and index in memory. Every answer is proven before it is timed.
//
//   veche_micro --benchmark_filter='ballot_|judge|apply_in_memory|shard'
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <span>
#include <utility>

#include "bench/micro/harness.h"
#include "engine/admit/judge.h"
#include "engine/node/shard.h"
#include "ingest/wire/ballot_json.h"

namespace {

using namespace veche;
using namespace veche::bench;
using model::Outcome;

constexpr std::size_t kSample = 1'024;  // ballots that the stateless steps go round

std::span<const Ballot> sample() { return std::span(workload().ballots()).first(kSample); }

// --- Decode, resolve, judge --------------------------------------------------------------------

// A body as the reader saw it, kept with the bytes that it points into.
struct Read {
  explicit Read(const Ballot& ballot)
      : body(workload().body(ballot)), named(*reader.read(body).value()) {}

  const std::string body;
  wire::BallotReader reader;
  const model::NamedAnswers& named;
};

std::vector<std::unique_ptr<Read>> read_sample() {
  std::vector<std::unique_ptr<Read>> read;
  for (const auto& ballot : sample()) read.push_back(std::make_unique<Read>(ballot));
  return read;
}

void ballot_read(benchmark::State& state) {
  wire::BallotReader reader;
  std::vector<std::string> bodies;
  std::size_t bytes = 0;
  for (const auto& ballot : sample()) {
    const auto& body = bodies.emplace_back(workload().body(ballot));
    bytes += body.size();
    std::vector<model::DocumentFault> faults;
    const auto named = reader.read(body);
    prove(named && model::resolve(workload().definition(), **named, faults) == ballot.answers,
          "the answers of a body");
    prove(!reader.read(std::string_view(body).substr(0, body.size() - 1)), "a body cut short");
  }
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(reader.read(bodies[next++ % kSample]));
  count_items(state, 1);
  state.counters["body_bytes"] = static_cast<double>(bytes / kSample);
}
BENCHMARK(ballot_read);

void ballot_resolve_and_serialize(benchmark::State& state) {
  const auto read = read_sample();
  for (std::size_t i = 0; i < kSample; ++i) {
    std::vector<model::DocumentFault> faults;
    const auto bytes =
        model::serialize(model::resolve(workload().definition(), read[i]->named, faults));
    v1::Answers message;
    model::Answers answers;
    prove(faults.empty() && message.ParseFromString(bytes) &&
              model::read_answers(message, answers) && answers == sample()[i].answers,
          "the canonical bytes");
  }
  std::size_t next = 0;
  for (auto _ : state) {
    std::vector<model::DocumentFault> faults;
    benchmark::DoNotOptimize(model::serialize(
        model::resolve(workload().definition(), read[next++ % kSample]->named, faults)));
  }
  count_items(state, 1);
}
BENCHMARK(ballot_resolve_and_serialize);

void prove_judge(const model::NamedAnswers& named, const Ballot& ballot) {
  const auto& poll = *workload().poll();
  const auto good = admit::judge(poll, {ballot.territory, {}, 3}, named);
  prove(!good.refusal && good.answers == ballot.answers, "a voter who may vote");
  prove(admit::judge(poll, {ballot.territory, {}, 2}, named).refusal == Outcome::level_too_low,
        "a voter whose identity is not proven enough");
  prove(admit::judge(poll, {*model::TerritoryCode::parse("75000000"), {}, 3}, named).refusal ==
            Outcome::not_eligible,
        "a voter from elsewhere");
  auto unanswered = named;
  unanswered.pop_back();
  prove(
      admit::judge(poll, {ballot.territory, {}, 3}, unanswered).refusal == Outcome::invalid_answer,
      "a ballot that leaves a question out");
}

void judge(benchmark::State& state) {
  const auto read = read_sample();
  for (std::size_t i = 0; i < kSample; ++i) prove_judge(read[i]->named, sample()[i]);
  std::size_t next = 0;
  for (auto _ : state) {
    const auto i = next++ % kSample;
    benchmark::DoNotOptimize(
        admit::judge(*workload().poll(), {sample()[i].territory, {}, 3}, read[i]->named));
  }
  count_items(state, 1);
}
BENCHMARK(judge);

// --- Apply -------------------------------------------------------------------------------------

// Never checkpoints.
class MemoryIndex final : public model::Index {
 public:
  std::optional<model::Counted> find(model::PartitionId, model::PollNumber,
                                     const model::VoterKey& voter) override {
    const auto found = voters_.find(voter);
    if (found == voters_.end()) return std::nullopt;
    return found->second;
  }
  void insert(model::PartitionId, model::PollNumber, const model::VoterKey& voter,
              const model::Counted& counted) override {
    voters_.insert_or_assign(voter, counted);
  }
  model::PartitionImage load(model::PartitionId partition) override {
    return {partition, {}, {}, 0, 0, {}};
  }
  std::size_t recent() const override { return voters_.size(); }
  bool ready_for_checkpoint() const override { return false; }
  void begin_checkpoint(std::vector<model::PartitionImage>) override {}
  void finish_checkpoint() override {}

 private:
  boost::unordered_flat_map<model::VoterKey, model::Counted> voters_;  // of one poll
};

void apply_in_memory(benchmark::State& state) {
  MemoryIndex proven;
  prove_apply(proven);
  const auto log = workload().log();
  for (auto _ : state) {
    state.PauseTiming();
    auto index = std::make_unique<MemoryIndex>();
    auto partition = std::make_unique<apply::Partition>(model::PartitionImage(), *index);
    state.ResumeTiming();
    apply_all(*partition, {0}, log);
    state.PauseTiming();
    partition.reset();
    index.reset();
    state.ResumeTiming();
  }
  count_items(state, workload().ballots().size());
  state.counters["record_bytes"] = static_cast<double>(log.bytes().size() / log.count());
}
BENCHMARK(apply_in_memory)->Unit(benchmark::kMillisecond);

// --- A whole shard -----------------------------------------------------------------------------

// One partition; what is appended is durable at once and comes back when it is asked for.
class MemoryLog final : public model::Log {
 public:
  std::uint16_t partitions() const override { return 1; }
  model::LogId id() const override { return {}; }
  bool sole_writer() const override { return true; }
  model::AppendStatus append(model::PartitionId, model::RecordBatch records) override {
    appended_.append(records);
    return model::AppendStatus::queued;
  }
  void consume(model::PartitionId, model::Offset, model::LogSink&) override {}
  model::LogEnd end(model::PartitionId) const override { return {end_, {}}; }
  std::string trouble(model::PartitionId) const override { return {}; }
  void abandon_replay() override {}
  void close() override {}

  bool has_news() const { return !appended_.empty(); }
  void bring_back(node::Shard& shard, model::Instant now) {
    const auto records = std::exchange(appended_, {});
    const auto first = std::exchange(end_, end_.plus(records.count()));
    shard.deliver({0}, first, records, end_, now);
  }

 private:
  model::RecordBatch appended_;
  model::Offset end_;
};

// A shard that serves the workload's poll, and what it answered.
class Serving final : node::ShardEvents, node::ReplySink {
 public:
  Serving() : now_(workload().definition().opens_at) {
    shard_.say_hello(now_);
    settle();
    auto directory = std::make_shared<model::Directory>();
    directory->polls.emplace(workload().definition().id, workload().poll());
    shard_.update(directory, {workload().definition().id}, now_);
    settle();
  }

  void ask(std::span<node::BallotRequest> group) {
    for (auto& request : group) {
      request.reply_to = this;
      shard_.submit(std::move(request), now_);
    }
    settle();
  }
  bool answered(Outcome outcome, std::size_t times) {
    const auto heard = std::exchange(outcomes_, {});
    return heard.size() == 1 && heard.contains(outcome) && heard.at(outcome) == times;
  }
  bool has_counted_all() {
    const auto partials = shard_.collect(workload().definition().id);
    return partials.size() == 1 && workload().is_count(*partials[0].tally);
  }

 private:
  void settle() {
    for (shard_.flush(); log_.has_news(); shard_.flush()) log_.bring_back(shard_, now_);
  }
  void deliver(std::vector<node::Reply> replies) override {
    for (const auto& reply : replies) ++outcomes_[reply.outcome];
  }
  void serving(model::PartitionId, const model::Position&) override {}
  void settled(model::PartitionId, const model::PollId&, bool) override {}
  void fatal(model::PartitionId, node::StopReason, const std::string& why) override {
    prove(false, why.c_str());
  }

  const model::Instant now_;
  std::map<Outcome, std::size_t> outcomes_;
  MemoryLog log_;
  MemoryIndex index_;
  node::Shard shard_{{model::PartitionId{0}}, log_, index_, model::RecordWriter({}, 1), {}, *this};
};

std::vector<node::BallotRequest> requests() {
  std::vector<node::BallotRequest> requests;
  for (const auto& ballot : workload().ballots()) {
    auto& request = requests.emplace_back();
    request.poll = workload().definition().id;
    request.voter = ballot.voter;
    request.digest = workload().digest(ballot);
    request.ballot = workload().message(ballot);
  }
  return requests;
}

void prove_shard(const std::vector<node::BallotRequest>& all) {
  Serving serving;
  auto group = all;
  serving.ask(group);
  prove(serving.answered(Outcome::accepted, all.size()), "every ballot is accepted");
  group = all;
  serving.ask(group);
  prove(serving.answered(Outcome::recorded, all.size()), "the same ballots again are recorded");
  group = all;
  for (auto& request : group) request.digest->bytes[0] ^= 1;
  serving.ask(group);
  prove(serving.answered(Outcome::already_voted, all.size()), "other ballots are refused");
  prove(serving.has_counted_all(), "each voter counts once, with the first ballot");
}

// submit, append, deliver, apply, answer; the argument is how many requests one round brings.
void shard(benchmark::State& state) {
  const auto all = requests();
  prove_shard(all);
  const auto per_round = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto serving = std::make_unique<Serving>();
    auto waiting = all;
    state.ResumeTiming();
    for (std::span rest(waiting); !rest.empty();) {
      const auto group = rest.first(std::min(per_round, rest.size()));
      serving->ask(group);
      rest = rest.subspan(group.size());
    }
    state.PauseTiming();
    prove(serving->answered(Outcome::accepted, all.size()), "every timed ballot is accepted");
    serving.reset();
    waiting.clear();
    state.ResumeTiming();
  }
  count_items(state, all.size());
}
BENCHMARK(shard)->Arg(1)->Arg(64)->Arg(1'024)->Unit(benchmark::kMillisecond);

}  // namespace
