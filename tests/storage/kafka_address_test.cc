// The address of a log in Kafka, what an operator may set, and what an answer survives.
#include "storage/kafka/kafka_address.h"

#include <gtest/gtest.h>

#include "storage/kafka/topics.h"

namespace veche::storage {
namespace {

TEST(KafkaAddress, NamesBrokersAndTopics) {
  const auto address = KafkaAddress::parse("kafka://k1:9092,[::1]:9093/region.75").value();
  EXPECT_EQ(address.brokers, "k1:9092,[::1]:9093");
  EXPECT_EQ(address.control_topic(), "region.75.control");
  EXPECT_EQ(address.ballots_topic(), "region.75.ballots");
  EXPECT_EQ(address.str(), "kafka://k1:9092,[::1]:9093/region.75");
}

class BadAddress : public testing::TestWithParam<const char*> {};

TEST_P(BadAddress, IsRefusedWithTheForm) {
  const auto address = KafkaAddress::parse(GetParam());
  ASSERT_FALSE(address);
  EXPECT_NE(address.error().message.find("kafka://HOST:PORT"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Rows, BadAddress,
                         testing::Values("", "kafka:", "http://k:9092/x", "kafka://k:9092",
                                         "kafka://k:9092/", "kafka:///x", "kafka://k/x",
                                         "kafka://k:/x", "kafka://:9092/x", "kafka://k:9092,/x",
                                         "kafka://k:9092/x y", "kafka://k:9092/\xD1\x8F",
                                         "kafka://k:port/x", "kafka://u@h /k:9092/x",
                                         "kafka://k:123456/x"));

TEST(KafkaAddress, HasALimit) {
  EXPECT_TRUE(KafkaAddress::parse("kafka://k:9092/" + std::string(200, 'x')));
  EXPECT_FALSE(KafkaAddress::parse("kafka://k:9092/" + std::string(201, 'x')));
}

TEST(KafkaProperties, AreAboutTheConnectionAlone) {
  for (const auto* open : {"security.protocol", "sasl.password", "ssl.ca.location",
                           "enable.ssl.certificate.verification", "broker.address.family"})
    EXPECT_TRUE(check_property(open)) << open;
  for (const auto* decided : {"acks", "enable.idempotence", "linger.ms", "bootstrap.servers",
                              "group.id", "isolation.level", "plugin.library.paths", "x"})
    EXPECT_FALSE(check_property(decided)) << decided;
}

TEST(Survives, IsDecidedByReplicasAndSyncs) {
  EXPECT_EQ(survives(3, 2, false), "the loss of any machine");
  EXPECT_EQ(survives(5, 3, true), "the loss of any machine");
  EXPECT_EQ(survives(2, 2, false),
            "the loss of any machine, but nothing is taken while one is down");
  EXPECT_EQ(survives(1, 1, false), "a killed broker, but not a power cut");
  EXPECT_EQ(survives(1, 1, true), "a killed broker and a power cut, but not the loss of its disk");
  EXPECT_EQ(survives(3, 1, false), "a killed broker, but not a power cut");
}

}  // namespace
}  // namespace veche::storage
