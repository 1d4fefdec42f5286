// `veche topic`: makes the topics of a log in Kafka, and says whether they are fit to hold one.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>

#include "engine/model/limits.h"
#include "ingest/auth/voter.h"
#include "storage/kafka/topics.h"
#include "tools/veche/command.h"
#include "tools/veche/options.h"
#include "tools/veche/output.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

struct TopicOptions {
  std::string log;
  std::string voter_secret;
  std::uint16_t partitions = limits::kKafkaPartitions;
  std::uint16_t replicas = 3;
  bool sync_each = false;
  bool json = false;
};

Result<storage::KafkaSource> source_of(const TopicOptions& options) {
  auto address = storage::KafkaAddress::parse(options.log);
  if (!address) return address.error();
  return storage::KafkaSource{*std::move(address), kafka_properties()};
}

void print_json(const storage::KafkaSource& source, const storage::Genesis& genesis,
                const storage::TopicsReport& report) {
  print("{}\n", json::serialize(json::object{
                    {"log", source.address.str()},
                    {"log_id", fmt::format("{:02x}", fmt::join(genesis.log_id.bytes, ""))},
                    {"partitions", genesis.partitions},
                    {"replicas", report.replicas},
                    {"survives", report.survives},
                    {"safe", report.unsafe.empty()},
                    {"unsafe", json::array(report.unsafe.begin(), report.unsafe.end())}}));
}

// What is there now, read back from the brokers.
Result<Exit> show(const TopicOptions& options, const storage::KafkaSource& source,
                  const storage::Genesis& genesis) {
  const auto report = storage::inspect_topics(source);
  if (!report) return report.error();
  if (options.json) {
    print_json(source, genesis, *report);
  } else {
    print("{}\n{} partitions of ballots, replicas: {}\nan answer survives {}\n",
          source.address.str(), genesis.partitions, report->replicas, report->survives);
    for (const auto& unsafe : report->unsafe) print("UNSAFE  {}\n", unsafe);
  }
  return report->unsafe.empty() ? Exit::ok : Exit::failed;
}

Result<Exit> create(const TopicOptions& options) {
  const auto source = source_of(options);
  if (!source) return source.error();
  const auto secret = auth::VoterSecret::load(options.voter_secret);
  if (!secret) return secret.error();
  const auto genesis = storage::create_topics(
      *source, {options.partitions, options.replicas, options.sync_each, secret->check_value()});
  if (!genesis) return genesis.error();
  return show(options, *source, *genesis);
}

Result<Exit> check(const TopicOptions& options) {
  const auto source = source_of(options);
  if (!source) return source.error();
  const auto genesis = storage::read_topics_genesis(*source);
  if (!genesis) return genesis.error();
  return show(options, *source, *genesis);
}

void add_log(CLI::App& command, TopicOptions& options) {
  command.add_option("--log", options.log, "kafka://HOST:PORT[,HOST:PORT]/NAME")
      ->required()
      ->type_name("URL");
  command.add_flag("--json", options.json, "Print JSON");
}

}  // namespace

void add_topic(CLI::App& app) {
  auto& topic = add_command(app, "topic", "Make or check the Kafka topics of a log");
  topic.require_subcommand(1);

  auto& creating = add_command(
      topic, "create", "Make the topics NAME.control and NAME.ballots, once for all nodes",
      {"veche topic create --log kafka://127.0.0.1:9092/region --voter-secret keys/voter.secret"});
  const auto create_options = std::make_shared<TopicOptions>();
  add_log(creating, *create_options);
  creating
      .add_option("--voter-secret", create_options->voter_secret,
                  "The secret that all nodes are to have; the log is bound to it")
      ->required()
      ->type_name("FILE");
  creating
      .add_option("--partitions", create_options->partitions, "Of ballots; can never be changed")
      ->check(CLI::Range(std::uint16_t{1}, limits::kPartitions))
      ->capture_default_str();
  creating
      .add_option("--replicas", create_options->replicas,
                  "Of every partition: 3 survive the loss of any machine")
      ->check(CLI::Range(std::uint16_t{1}, std::uint16_t{15}))
      ->capture_default_str();
  creating.add_flag("--sync-each", create_options->sync_each,
                    "Set flush.messages=1: one replica then survives a power cut, and each answer "
                    "waits longer");
  on_run(creating, [create_options] { return create(*create_options); });

  auto& checking = add_command(
      topic, "check", "Say what an answer survives, and which setting of the topics is unsafe",
      {"veche topic check --log kafka://127.0.0.1:9092/region"});
  const auto check_options = std::make_shared<TopicOptions>();
  add_log(checking, *check_options);
  on_run(checking, [check_options] { return check(*check_options); });
}

}  // namespace veche::tools
