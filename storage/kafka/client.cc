#include "storage/kafka/client.h"

#include <fmt/format.h>
#include <syslog.h>

#include "engine/model/assert.h"

namespace veche::storage {
namespace {

using Conf = std::unique_ptr<rd_kafka_conf_t, Destroys<rd_kafka_conf_destroy>>;

// A broker that is away is looked for often, and one that does not answer is given up soon: nodes
// come back by themselves, within seconds.
Client::Settings shared_settings(const KafkaSource& source) {
  return {{"bootstrap.servers", source.address.brokers},
          {"client.id", "veche"},
          {"allow.auto.create.topics", "false"},
          {"socket.nagle.disable", "true"},
          {"socket.timeout.ms", "10000"},
          {"reconnect.backoff.ms", "100"},
          {"reconnect.backoff.max.ms", "1000"},
          {"topic.metadata.refresh.interval.ms", "5000"},
          {"log.connection.close", "false"}};
}

}  // namespace

Result<Client> Client::make(rd_kafka_type_t type, const KafkaSource& source,
                            const Settings& settings, int events) {
  Client client;
  client.complaint_ = std::make_unique<Complaint>();
  Conf conf(rd_kafka_conf_new());
  char error[512] = {};
  const auto set = [&](const std::string& name, const std::string& value) {
    return rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), error, sizeof error) ==
           RD_KAFKA_CONF_OK;
  };
  for (const auto& [name, value] : source.properties)
    if (!set(name, value)) return Fault{fmt::format("the section [kafka]: {}", error)};
  for (const auto& more : {shared_settings(source), settings})
    for (const auto& [name, value] : more)
      VECHE_ASSERT(set(name, value), "librdkafka knows the settings that Veche needs");
  rd_kafka_conf_set_opaque(conf.get(), client.complaint_.get());
  rd_kafka_conf_set_log_cb(conf.get(), &Client::on_log);
  rd_kafka_conf_set_events(conf.get(), events);
  client.handle_.reset(rd_kafka_new(type, conf.get(), error, sizeof error));
  if (!client.handle_) return Fault{fmt::format("Kafka cannot be used: {}", error)};
  (void)conf.release();  // the handle's now
  return client;
}

TopicHandle Client::topic(const std::string& name) const {
  TopicHandle topic(rd_kafka_topic_new(get(), name.c_str(), nullptr));
  VECHE_ASSERT(topic, "a topic's name was checked when the address was parsed");
  return topic;
}

void Client::look_up_topics(std::chrono::milliseconds at_most) const {
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(get(), 0, nullptr, &metadata, to_ms(at_most)) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(metadata);
}

std::string Client::complaint() const {
  const std::lock_guard lock(complaint_->mutex);
  return complaint_->text;
}

// On any thread of librdkafka's, until the handle is destroyed; the opaque is the client's
// complaint, which outlives the handle. The text is librdkafka's and is copied. Not printed: it
// says the same many times a second, and what it means for the node is told once by who owns the
// client.
void Client::on_log(const rd_kafka_t* handle, int level, const char*, const char* text) {
  if (level > LOG_WARNING) return;
  auto& complaint = *static_cast<Complaint*>(rd_kafka_opaque(handle));
  const std::lock_guard lock(complaint.mutex);
  complaint.text = text;
}

Result<Client> make_admin_client(const KafkaSource& source) {
  return Client::make(RD_KAFKA_PRODUCER, source, {});
}

std::pair<std::string, std::int32_t> place_of(const KafkaAddress& address,
                                              model::PartitionId partition) {
  if (partition == model::kControl) return {address.control_topic(), 0};
  return {address.ballots_topic(), partition.value};
}

int to_ms(std::chrono::milliseconds duration) { return static_cast<int>(duration.count()); }

}  // namespace veche::storage
