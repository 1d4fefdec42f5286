// The two topics of a log in Kafka: made, described, and held against what a log of ballots needs.
//
//   NAME.control   1 partition: the life of polls
//   NAME.ballots   P partitions
//
// Blocking; for start-up and tools.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/result.h"
#include "storage/genesis.h"
#include "storage/kafka/kafka_address.h"

namespace veche::storage {

struct NewTopics {
  std::uint16_t partitions = 0;  // of ballots
  std::uint16_t replicas = 0;
  bool sync_each = false;  // a broker syncs every record before it acknowledges it
  SecretCheck secret_check{};
};

// Makes the topics and writes GENESIS into every partition; finishes its own work when run again. A
// fault: the cluster refuses, or what is there is another log.
Result<Genesis> create_topics(const KafkaSource& source, const NewTopics& topics);

struct TopicsReport {
  std::uint16_t replicas = 0;       // of the partition that has the fewest
  std::string survives;             // what an answer survives, for a person
  std::vector<std::string> unsafe;  // settings by which ballots could be lost or voters told
};
// A fault: a topic is missing, or the brokers do not answer.
Result<TopicsReport> inspect_topics(const KafkaSource& source);

// GENESIS as all partitions have it. A fault: one lacks it, or they do not belong together, or the
// topic has other partitions than GENESIS says.
Result<Genesis> read_topics_genesis(const KafkaSource& source);

// "the loss of any machine", and so on: what an answer survives by the settings of the topics.
std::string survives(std::uint16_t replicas, std::uint16_t in_sync, bool sync_each);

}  // namespace veche::storage
