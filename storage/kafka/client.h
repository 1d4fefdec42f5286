// librdkafka's handles as values with owners, and the settings that all of them share. Included in
// storage/kafka alone.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "engine/model/result.h"
#include "storage/kafka/kafka_address.h"

namespace veche::storage {

template <auto destroy>
struct Destroys {
  template <class T>
  void operator()(T* handle) const {
    destroy(handle);
  }
};
using TopicHandle = std::unique_ptr<rd_kafka_topic_t, Destroys<rd_kafka_topic_destroy>>;
using QueueHandle = std::unique_ptr<rd_kafka_queue_t, Destroys<rd_kafka_queue_destroy>>;
using EventHandle = std::unique_ptr<rd_kafka_event_t, Destroys<rd_kafka_event_destroy>>;
using MessageHandle = std::unique_ptr<rd_kafka_message_t, Destroys<rd_kafka_message_destroy>>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                      Destroys<rd_kafka_topic_partition_list_destroy>>;

// One connection to the cluster: librdkafka's threads behind it end with it.
class Client {
 public:
  using Settings = std::vector<std::pair<const char*, std::string>>;

  // Connects in the background; a fault: librdkafka does not take a setting.
  static Result<Client> make(rd_kafka_type_t type, const KafkaSource& source,
                             const Settings& settings, int events = 0);

  rd_kafka_t* get() const { return handle_.get(); }
  // A topic's name on this connection. Outlived by the client.
  TopicHandle topic(const std::string& name) const;
  // Learns who leads the topics in use here, if a broker answers in time: librdkafka itself would
  // look once a second, or less.
  void look_up_topics(std::chrono::milliseconds at_most) const;
  // What librdkafka complained of last; empty: nothing.
  std::string complaint() const;

 private:
  struct Complaint {
    std::mutex mutex;
    std::string text;
  };
  static void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text);

  std::unique_ptr<Complaint> complaint_;  // outlives the handle, whose threads write it
  std::unique_ptr<rd_kafka_t, Destroys<rd_kafka_destroy>> handle_;
};

// A connection that waits for what is asked, for start-up and tools.
Result<Client> make_admin_client(const KafkaSource& source);

// Of a partition of the log: its topic, and its number there.
std::pair<std::string, std::int32_t> place_of(const KafkaAddress& address,
                                              model::PartitionId partition);

int to_ms(std::chrono::milliseconds duration);

}  // namespace veche::storage
