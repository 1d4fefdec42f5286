// Where a log in Kafka is, and how to get in.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engine/model/result.h"

namespace veche::storage {

// kafka://HOST:PORT[,HOST:PORT...]/NAME
struct KafkaAddress {
  std::string brokers;  // HOST:PORT, with commas between
  std::string name;     // of the log

  static Result<KafkaAddress> parse(std::string_view text);

  std::string control_topic() const { return name + ".control"; }
  std::string ballots_topic() const { return name + ".ballots"; }
  std::string str() const { return "kafka://" + brokers + "/" + name; }
};

// Settings of librdkafka that are the operator's: who may connect, and how it is encrypted.
using KafkaProperties = std::map<std::string, std::string>;

// A fault: a setting that Veche decides itself, for the sake of the count, or that is not about
// the connection.
Result<void> check_property(std::string_view name);

struct KafkaSource {
  KafkaAddress address;
  KafkaProperties properties;
};

}  // namespace veche::storage
