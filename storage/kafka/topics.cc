#include "storage/kafka/topics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <thread>

#include "engine/model/assert.h"
#include "storage/clock.h"
#include "storage/kafka/client.h"
#include "storage/kafka/topic_reader.h"

namespace veche::storage {
namespace {

using namespace std::chrono_literals;
using Values = std::map<std::string, std::string>;
using Clock = std::chrono::steady_clock;

// A batch of the producer's own, and the largest record, must fit.
constexpr std::int64_t kLeastMessageBytes = 1'000'000 + 1'024;
// Record time is cut to the hour, and a clock may be off.
constexpr std::int64_t kLeastTimestampAgeMs = std::chrono::milliseconds(3h).count();

std::string join(const KafkaAddress& address) {
  return fmt::format("{} and {}", address.control_topic(), address.ballots_topic());
}

Fault unanswered(const KafkaSource& source, const Client& client) {
  const auto why = client.complaint();
  return Fault{fmt::format(
      "no Kafka broker answers at {} within {} s{}: is it running, and is the address right?",
      source.address.brokers, limits::kKafkaStartDeadline.count(),
      why.empty() ? "" : " (" + why + ")")};
}

// --- What there is -----------------------------------------------------------------------------

struct TopicShape {
  std::uint16_t partitions = 0;
  std::uint16_t replicas = 0;  // the fewest
};

// nullopt: there is no such topic.
Result<std::optional<TopicShape>> shape_of(const KafkaSource& source, const Client& client,
                                           const std::string& name) {
  const auto topic = client.topic(name);
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error =
      rd_kafka_metadata(client.get(), 0, topic.get(), &raw, to_ms(limits::kKafkaStartDeadline));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return unanswered(source, client);
  const std::unique_ptr<const rd_kafka_metadata_t, Destroys<rd_kafka_metadata_destroy>> all(raw);
  const auto& found = all->topics[0];
  if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return std::optional<TopicShape>();
  if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR && found.partition_cnt == 0)
    return Fault{
        fmt::format("the topic {} cannot be looked at: {}", name, rd_kafka_err2str(found.err))};
  TopicShape shape{static_cast<std::uint16_t>(found.partition_cnt), 0xFFFF};
  for (int p = 0; p < found.partition_cnt; ++p)
    shape.replicas =
        std::min(shape.replicas, static_cast<std::uint16_t>(found.partitions[p].replica_cnt));
  return std::optional(shape);
}

// A topic must be there, with so many partitions. A broker that starts may not know them yet: it is
// asked again for a moment.
Result<TopicShape> existing(const KafkaSource& source, const Client& client,
                            const std::string& name, std::uint16_t partitions = 1) {
  const auto deadline = Clock::now() + limits::kKafkaTopicAppears;
  auto shape = shape_of(source, client, name);
  while (shape && (!*shape || (*shape)->partitions < partitions) && Clock::now() < deadline) {
    std::this_thread::sleep_for(100ms);
    shape = shape_of(source, client, name);
  }
  if (!shape) return shape.error();
  if (*shape) return **shape;
  return Fault{
      fmt::format("there is no topic {} at {}: make it with `veche topic create --log {} "
                  "--voter-secret FILE`",
                  name, source.address.brokers, source.address.str())};
}

EventHandle ask(const Client& client, const std::function<void(rd_kafka_queue_t*)>& question) {
  const QueueHandle answers(rd_kafka_queue_new(client.get()));
  question(answers.get());
  return EventHandle(rd_kafka_queue_poll(answers.get(), to_ms(2 * limits::kKafkaStartDeadline)));
}

Result<Values> settings_of(const Client& client, const std::string& name) {
  const std::unique_ptr<rd_kafka_ConfigResource_t, Destroys<rd_kafka_ConfigResource_destroy>>
      resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  auto* asked = resource.get();
  const auto event = ask(client, [&](rd_kafka_queue_t* answers) {
    rd_kafka_DescribeConfigs(client.get(), &asked, 1, nullptr, answers);
  });
  const auto fault = [&](std::string_view why) {
    return Fault{fmt::format(
        "the settings of the topic {} cannot be read: {}. The user needs the right to describe "
        "its configuration",
        name, why)};
  };
  if (!event) return fault("no answer");
  if (rd_kafka_event_error(event.get())) return fault(rd_kafka_event_error_string(event.get()));
  std::size_t count = 0;
  const auto* const* found = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return fault("an empty answer");
  if (rd_kafka_ConfigResource_error(found[0]))
    return fault(rd_kafka_err2str(rd_kafka_ConfigResource_error(found[0])));
  Values values;
  std::size_t entries = 0;
  const auto* const* entry = rd_kafka_ConfigResource_configs(found[0], &entries);
  for (std::size_t i = 0; i < entries; ++i)
    if (const char* value = rd_kafka_ConfigEntry_value(entry[i]))
      values[rd_kafka_ConfigEntry_name(entry[i])] = value;
  return values;
}

std::int64_t number(const Values& values, const std::string& name, std::int64_t otherwise) {
  const auto found = values.find(name);
  if (found == values.end()) return otherwise;
  std::int64_t value = otherwise;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

// --- What a log needs --------------------------------------------------------------------------

struct Needed {
  const char* setting;
  const char* value;
  const char* otherwise;
};

constexpr Needed kNeeded[] = {
    {"retention.ms", "-1", "ballots are deleted when they are old"},
    {"retention.bytes", "-1", "ballots are deleted when there are many"},
    {"cleanup.policy", "delete", "records are removed between others, which is a gap"},
    {"message.timestamp.type", "CreateTime",
     "the broker stamps each ballot to the millisecond, which could tell who voted"},
    {"unclean.leader.election.enable", "false",
     "a replica that lacks acknowledged ballots may become the leader"},
};

struct Least {
  const char* setting;
  std::int64_t value;
  const char* otherwise;
};

constexpr Least kLeast[] = {
    {"max.message.bytes", kLeastMessageBytes, "larger records and groups are refused"},
    {"message.timestamp.before.max.ms", kLeastTimestampAgeMs,
     "records are refused, as their time is cut to the hour"},
    {"message.timestamp.difference.max.ms", kLeastTimestampAgeMs,
     "records are refused, as their time is cut to the hour"},
};

void judge(const std::string& topic, const TopicShape& shape, const Values& values,
           std::vector<std::string>& unsafe) {
  const auto tell = [&](std::string_view setting, std::string_view is, std::string_view wanted,
                        std::string_view otherwise) {
    unsafe.push_back(
        fmt::format("{}: {}={}, must be {}: {}", topic, setting, is, wanted, otherwise));
  };
  for (const auto& [setting, value, otherwise] : kNeeded)
    if (const auto found = values.find(setting); found != values.end() && found->second != value)
      tell(setting, found->second, value, otherwise);
  for (const auto& [setting, value, otherwise] : kLeast)
    if (number(values, setting, value) < value)
      tell(setting, values.at(setting), fmt::format("at least {}", value), otherwise);
  const auto in_sync = number(values, "min.insync.replicas", 1);
  if (shape.replicas > 1 && in_sync < 2)
    tell("min.insync.replicas", std::to_string(in_sync), "2",
         "a ballot is acknowledged that one machine alone has");
  if (in_sync > shape.replicas)
    tell("min.insync.replicas", std::to_string(in_sync), fmt::format("at most {}", shape.replicas),
         "there are no more replicas");
}

// --- Making ------------------------------------------------------------------------------------

using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroys<rd_kafka_NewTopic_destroy>>;

NewTopic describe_topic(const std::string& name, std::uint16_t partitions,
                        const NewTopics& wanted) {
  char error[256] = {};
  NewTopic topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, wanted.replicas, error, sizeof error));
  VECHE_ASSERT(topic, "a topic's name and numbers were checked before");
  for (const auto& [setting, value, otherwise] : kNeeded)
    rd_kafka_NewTopic_set_config(topic.get(), setting, value);
  rd_kafka_NewTopic_set_config(topic.get(), "max.message.bytes",
                               std::to_string(kLeastMessageBytes).c_str());
  rd_kafka_NewTopic_set_config(topic.get(), "min.insync.replicas", wanted.replicas > 1 ? "2" : "1");
  if (wanted.sync_each) rd_kafka_NewTopic_set_config(topic.get(), "flush.messages", "1");
  return topic;
}

Result<void> create_missing(const KafkaSource& source, const Client& client,
                            const NewTopics& wanted) {
  const auto& address = source.address;
  std::vector<NewTopic> missing;
  for (const auto& [name, partitions] : {std::pair(address.control_topic(), std::uint16_t{1}),
                                         std::pair(address.ballots_topic(), wanted.partitions)}) {
    const auto shape = shape_of(source, client, name);
    if (!shape) return shape.error();
    if (!*shape) missing.push_back(describe_topic(name, partitions, wanted));
  }
  if (missing.empty()) return {};
  std::vector<rd_kafka_NewTopic_t*> asked;
  for (const auto& topic : missing) asked.push_back(topic.get());
  const auto event = ask(client, [&](rd_kafka_queue_t* answers) {
    rd_kafka_CreateTopics(client.get(), asked.data(), asked.size(), nullptr, answers);
  });
  if (!event) return unanswered(source, client);
  if (rd_kafka_event_error(event.get()))
    return Fault{fmt::format("the topics {} cannot be made: {}", join(address),
                             rd_kafka_event_error_string(event.get()))};
  std::size_t count = 0;
  const auto* const* made =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto error = rd_kafka_topic_result_error(made[i]);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      return Fault{fmt::format("the topic {} cannot be made: {}",
                               rd_kafka_topic_result_name(made[i]),
                               rd_kafka_topic_result_error_string(made[i]))};
  }
  return {};
}

// All brokers know a new topic only after a while.
Result<void> await_topic(const KafkaSource& source, const Client& client, const std::string& name) {
  const auto deadline = Clock::now() + limits::kKafkaStartDeadline;
  for (;;) {
    const auto shape = existing(source, client, name);
    if (shape || Clock::now() > deadline)
      return shape ? Result<void>() : Result<void>(shape.error());
  }
}

Result<void> write_genesis(const KafkaSource& source, model::PartitionId partition,
                           const Genesis& genesis) {
  auto producer = Client::make(
      RD_KAFKA_PRODUCER, source,
      {{"acks", "all"}, {"message.timeout.ms", std::to_string(to_ms(limits::kKafkaStartDeadline))}},
      RD_KAFKA_EVENT_DR);
  if (!producer) return producer.error();
  const auto [topic, number] = place_of(source.address, partition);
  const auto bytes = serialize(genesis);
  const auto queued = rd_kafka_producev(
      producer->get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(number),
      RD_KAFKA_V_VALUE(const_cast<char*>(bytes.data()), bytes.size()),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(hour_now_ms()),
      RD_KAFKA_V_END);
  auto error = queued;
  if (!error) {
    const QueueHandle reports(rd_kafka_queue_get_main(producer->get()));
    const EventHandle event(
        rd_kafka_queue_poll(reports.get(), to_ms(2 * limits::kKafkaStartDeadline)));
    const auto* report = event ? rd_kafka_event_message_next(event.get()) : nullptr;
    error = report ? report->err : RD_KAFKA_RESP_ERR__TIMED_OUT;
  }
  if (!error) return {};
  return Fault{fmt::format("GENESIS cannot be written into {} of {}: {}. Run it again", number,
                           topic, rd_kafka_err2str(error))};
}

// control gets its GENESIS first, and the first one there holds: two who make the log at once, or
// one who finishes the work of another, write the same into the other partitions.
Result<Genesis> settle_genesis(const KafkaSource& source, const NewTopics& topics) {
  for (bool written = false;; written = true) {
    const auto first = read_first_records(source, {model::kControl});
    if (!first) return first.error();
    if (const auto& record = first->front())
      return read_genesis(*record, "the topic " + source.address.control_topic());
    VECHE_ASSERT(!written, "a record that was acknowledged can be read");
    const auto genesis = make_genesis(topics.partitions, topics.secret_check);
    if (auto done = write_genesis(source, model::kControl, genesis); !done) return done.error();
  }
}

}  // namespace

std::string survives(std::uint16_t replicas, std::uint16_t in_sync, bool sync_each) {
  if (replicas >= 3 && in_sync >= 2) return "the loss of any machine";
  if (replicas == 2 && in_sync >= 2)
    return "the loss of any machine, but nothing is taken while one is down";
  if (sync_each) return "a killed broker and a power cut, but not the loss of its disk";
  return "a killed broker, but not a power cut";
}

Result<TopicsReport> inspect_topics(const KafkaSource& source) {
  const auto client = make_admin_client(source);
  if (!client) return client.error();
  TopicsReport report;
  report.replicas = 0xFFFF;
  std::uint16_t in_sync = 0xFFFF;
  bool sync_each = true;
  for (const auto& name : {source.address.control_topic(), source.address.ballots_topic()}) {
    const auto shape = existing(source, *client, name);
    if (!shape) return shape.error();
    const auto values = settings_of(*client, name);
    if (!values) return values.error();
    judge(name, *shape, *values, report.unsafe);
    report.replicas = std::min(report.replicas, shape->replicas);
    in_sync =
        std::min(in_sync, static_cast<std::uint16_t>(number(*values, "min.insync.replicas", 1)));
    sync_each &= number(*values, "flush.messages", 0) == 1;
  }
  report.survives = survives(report.replicas, in_sync, sync_each);
  return report;
}

Result<Genesis> read_topics_genesis(const KafkaSource& source) {
  const auto client = make_admin_client(source);
  if (!client) return client.error();
  if (const auto control = existing(source, *client, source.address.control_topic()); !control)
    return control.error();
  const auto shape = existing(source, *client, source.address.ballots_topic());
  if (!shape) return shape.error();
  std::vector<model::PartitionId> partitions{model::kControl};
  for (std::uint16_t p = 0; p < shape->partitions; ++p) partitions.push_back({p});
  const auto first = read_first_records(source, partitions);
  if (!first) return first.error();
  std::optional<Genesis> all;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const auto [topic, number] = place_of(source.address, partitions[i]);
    const auto where = fmt::format("partition {} of the topic {}", number, topic);
    const bool beyond = all && partitions[i].value >= all->partitions && i > 0;
    if (beyond)
      return Fault{fmt::format(
          "the topic {} has {} partitions, and the log was made with {}: partitions were added. A "
          "voter's partition follows from their number, which cannot change: copy the log into "
          "new topics, or give this one up",
          topic, shape->partitions, all->partitions)};
    if (!(*first)[i])
      return Fault{
          fmt::format("{} is empty: `veche topic create --log {}` was not run to its end; "
                      "run it again",
                      where, source.address.str())};
    const auto genesis = read_genesis(*(*first)[i], where);
    if (!genesis) return genesis.error();
    if (all && !(*all == *genesis))
      return Fault{
          fmt::format("{} belongs to another log than the topic {}: the topics were not "
                      "made together, or one of them was made anew. Give --log the name "
                      "of the right ones",
                      where, source.address.control_topic())};
    all = *genesis;
  }
  if (all->partitions > shape->partitions)  // or the broker did not know all of them yet
    if (const auto later =
            existing(source, *client, source.address.ballots_topic(), all->partitions);
        later && later->partitions == all->partitions)
      return read_topics_genesis(source);
  if (all->partitions != shape->partitions)
    return Fault{
        fmt::format("the topic {} has {} partitions, and the log was made with {}: it is "
                    "not the topic that the log was made with",
                    source.address.ballots_topic(), shape->partitions, all->partitions)};
  return *all;
}

Result<Genesis> create_topics(const KafkaSource& source, const NewTopics& topics) {
  const auto client = make_admin_client(source);
  if (!client) return client.error();
  if (auto made = create_missing(source, *client, topics); !made) return made.error();
  for (const auto& name : {source.address.control_topic(), source.address.ballots_topic()})
    if (auto known = await_topic(source, *client, name); !known) return known.error();
  const auto shape = existing(source, *client, source.address.ballots_topic());
  if (!shape) return shape.error();
  if (shape->partitions != topics.partitions)
    return Fault{
        fmt::format("the topic {} is there, with {} partitions: give --partitions {}, or "
                    "another name",
                    source.address.ballots_topic(), shape->partitions, shape->partitions)};
  const auto genesis = settle_genesis(source, topics);
  if (!genesis) return genesis.error();
  std::vector<model::PartitionId> partitions;
  for (std::uint16_t p = 0; p < topics.partitions; ++p) partitions.push_back({p});
  const auto first = read_first_records(source, partitions);
  if (!first) return first.error();
  for (std::size_t i = 0; i < partitions.size(); ++i)
    if (!(*first)[i])
      if (auto written = write_genesis(source, partitions[i], *genesis); !written)
        return written.error();
  auto all = read_topics_genesis(source);
  if (!all) return all.error();
  if (auto same = check_secret(*all, topics.secret_check, source.address.str()); !same)
    return same.error();
  return all;
}

}  // namespace veche::storage
