// A log in Kafka whose brokers answer with errors, each for one partition: librdkafka's own mock of
// a cluster, in this process. Partition p is led by broker p + 1, which leads nothing else but
// control, led by the first.
#include "storage/kafka/kafka_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <condition_variable>
#include <map>
#include <thread>

#include "storage/clock.h"
#include "storage/kafka/kafka_log_reader.h"
#include "storage/kafka/topics.h"
#include "tests/storage/storage_fixture.h"

namespace veche::storage {
namespace {

using namespace std::chrono_literals;
using model::AppendStatus;
using model::Offset;
using model::PartitionId;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kPartitions = 6;
constexpr std::int16_t kProduce = 0, kFetch = 1, kListOffsets = 2;  // of Kafka's protocol
constexpr PartitionId kFirst{0}, kSecond{1}, kThird{2}, kFourth{3}, kFifth{4}, kSixth{5};

template <class Predicate>
bool within(std::chrono::seconds at_most, const Predicate& holds) {
  for (const auto deadline = Clock::now() + at_most; Clock::now() < deadline;) {
    if (holds()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

class MockCluster {
 public:
  MockCluster()
      : handle_(rd_kafka_new(RD_KAFKA_PRODUCER, nullptr, nullptr, 0)),
        cluster_(rd_kafka_mock_cluster_new(handle_, kPartitions)) {
    rd_kafka_mock_topic_create(cluster_, "log.control", 1, 1);
    rd_kafka_mock_topic_create(cluster_, "log.ballots", kPartitions, 1);
    rd_kafka_mock_partition_set_leader(cluster_, "log.control", 0, 1);
    for (std::uint16_t p = 0; p < kPartitions; ++p) lead({p}, broker_of({p}));
    EXPECT_TRUE(create_topics(source(), {kPartitions, 1, false, {}}));
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }

  KafkaSource source() const {
    return {KafkaAddress{rd_kafka_mock_cluster_bootstraps(cluster_), "log"}, {}};
  }
  static std::int32_t broker_of(PartitionId partition) { return partition.value + 1; }

  void lead(PartitionId partition, std::int32_t broker) {
    rd_kafka_mock_partition_set_leader(cluster_, "log.ballots", partition.value, broker);
  }
  // So many of the next requests to the partition's leader.
  void fail(PartitionId partition, std::int16_t request, rd_kafka_resp_err_t error, int times) {
    for (int i = 0; i < times; ++i)
      rd_kafka_mock_broker_push_request_error_rtts(cluster_, broker_of(partition), request, 1,
                                                   error, 0);
  }
  // Of those, how many are still to come.
  std::size_t left(PartitionId partition, std::int16_t request) const {
    std::size_t count = 0;
    rd_kafka_mock_broker_error_stack_cnt(cluster_, broker_of(partition), request, &count);
    return count;
  }
  void down(PartitionId partition) {
    rd_kafka_mock_broker_set_down(cluster_, broker_of(partition));
  }
  void up(PartitionId partition) { rd_kafka_mock_broker_set_up(cluster_, broker_of(partition)); }

 private:
  rd_kafka_t* handle_;
  rd_kafka_mock_cluster_t* cluster_;
};

// What one partition delivered, and whether each record came once, with none between them lacking.
class Reader final : public model::LogSink {
 public:
  explicit Reader(std::uint64_t from) : next_(from) {}
  void deliver(PartitionId, Offset first, model::RecordBatch records, Offset durable) override {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(first.value, next_);
    next_ += records.count();
    for (const auto record : records) records_.emplace_back(record);
    durable_ = durable.value;
  }
  std::vector<std::string> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  std::uint64_t durable() {
    const std::lock_guard lock(mutex_);
    return durable_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> records_;
  std::uint64_t next_, durable_ = 0;
};

class KafkaLogTest : public testing::Test {
 protected:
  ~KafkaLogTest() override { log_.reset(); }

  void open(std::map<PartitionId, Offset> from = {}) {
    KafkaLogOptions options;
    options.source = cluster_.source();
    options.on_failure = [this](KafkaFailure failure, const std::string& why) {
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      why_ = why;
    };
    options.on_news = [this](const std::string& what) {
      const std::lock_guard lock(mutex_);
      news_.push_back(what);
    };
    auto log = KafkaLog::open(std::move(options));
    ASSERT_TRUE(log) << log.error().message;
    log_ = *std::move(log);
    for (std::uint16_t p = 0; p <= kPartitions; ++p) {
      const auto id = p == kPartitions ? model::kControl : PartitionId{p};
      readers_[id] = std::make_unique<Reader>(from[id].value);
      log_->consume(id, from[id], *readers_[id]);
    }
  }

  // Records that are known by their number.
  AppendStatus append(PartitionId partition, int count) {
    model::RecordBatch records;
    for (int i = 0; i < count; ++i)
      records.push("record " + std::to_string(written_[partition] + i));
    const auto status = log_->append(partition, std::move(records));
    if (status == AppendStatus::queued) written_[partition] += count;
    return status;
  }
  // GENESIS, and then all that was appended, in order; proven, too.
  bool has_all(PartitionId partition) {
    auto& reader = *readers_[partition];
    const auto records = reader.records();
    if (records.size() != static_cast<std::size_t>(written_[partition]) + 1) return false;
    for (std::size_t i = 1; i < records.size(); ++i)
      if (records[i] != "record " + std::to_string(i - 1)) return false;
    return reader.durable() == records.size();
  }
  std::string why() {
    const std::lock_guard lock(mutex_);
    return why_;
  }

  MockCluster cluster_;
  std::map<PartitionId, std::unique_ptr<Reader>> readers_;
  std::map<PartitionId, int> written_;
  std::unique_ptr<KafkaLog> log_;
  std::mutex mutex_;
  std::optional<KafkaFailure> failure_;
  std::string why_;
  std::vector<std::string> news_;
};

TEST_F(KafkaLogTest, ABrokerThatSaysOutOfRangeForSomeSecondsEndsNothing) {
  open();
  for (const int times : {1, 4}) {
    append(kSecond, 100);
    ASSERT_TRUE(within(10s, [&] { return has_all(kSecond); }));
    cluster_.fail(kSecond, kFetch, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, times);
    ASSERT_TRUE(within(10s, [&] { return log_->stats().consume_errors > 0; }));
    for (int i = 0; i < 10; ++i) append(kSecond, 10);
    EXPECT_TRUE(within(20s, [&] { return has_all(kSecond); })) << times << " errors";
  }
  EXPECT_THAT(why(), IsEmpty());
}

TEST_F(KafkaLogTest, ALogThatStaysShorterThanWhatWasReadEndsTheNode) {
  open({{kThird, Offset{3}}});  // it holds GENESIS alone
  const auto begin = Clock::now();
  EXPECT_TRUE(within(20s, [&] { return !why().empty(); }));
  EXPECT_GE(Clock::now() - begin, limits::kKafkaDoubt) << "it was not asked again";
  EXPECT_EQ(failure_, KafkaFailure::log_changed);
  EXPECT_THAT(why(), AllOf(HasSubstr("partition 2 of the topic log.ballots"),
                           HasSubstr("ends at offset 1"), HasSubstr("was cut, or made anew")));
}

// Each of four partitions is stuck in another way: there is no leader, it gives nothing, it is
// away, it takes nothing.
TEST_F(KafkaLogTest, APartitionThatDoesNotGoIsRefusedByItselfAndNamed) {
  open();
  for (std::uint16_t p = 0; p < kPartitions; ++p) append({p}, 10);
  for (std::uint16_t p = 0; p < kPartitions; ++p)
    ASSERT_TRUE(within(10s, [&] { return has_all({p}); })) << p;
  cluster_.lead(kThird, -1);
  cluster_.fail(kFourth, kFetch, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, 14);
  cluster_.down(kFifth);
  ASSERT_TRUE(within(10s, [&] { return log_->stats().consume_errors > 0; }));
  append(kFourth, 10);
  cluster_.fail(kSixth, kProduce, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, 1'000);
  append(kSixth, 1);  // given up before it is known that nothing is taken
  const auto is_stuck = [&](PartitionId id) { return !log_->trouble(id).empty(); };
  for (const auto id : {kThird, kFourth, kFifth, kSixth}) {
    EXPECT_TRUE(within(12s, [&] { return is_stuck(id); })) << id.value;
    EXPECT_EQ(append(id, 1), AppendStatus::unavailable) << id.value;
  }
  EXPECT_THAT(log_->trouble(kThird), HasSubstr("eader not available"));
  EXPECT_THAT(log_->trouble(kFourth), HasSubstr("out of range"));
  EXPECT_THAT(log_->trouble(kFifth), HasSubstr("cannot be reached"));
  EXPECT_THAT(log_->trouble(kSixth), HasSubstr("takes no records"));
  // The others go on, as fast as ever, with little traffic and with much.
  for (const auto id : {kFirst, kSecond, model::kControl})
    for (const int count : {1, 1'000}) {
      EXPECT_THAT(log_->trouble(id), IsEmpty());
      EXPECT_EQ(append(id, count), AppendStatus::queued);
      EXPECT_TRUE(within(2s, [&] { return has_all(id); })) << id.value;
    }
  EXPECT_FALSE(log_->stats().reachable);
  EXPECT_THAT(why(), IsEmpty()) << "the log is whole";
  EXPECT_TRUE(within(12s, [&] { return log_->stats().in_flight == 0; }));
  --written_[kSixth];

  cluster_.lead(kThird, MockCluster::broker_of(kThird));
  cluster_.up(kFifth);
  cluster_.lead(kSixth, MockCluster::broker_of(kFirst));
  EXPECT_TRUE(within(20s, [&] { return append(kSixth, 1) == AppendStatus::queued; }));
  for (const auto id : {kThird, kFourth, kFifth, kSixth}) {
    EXPECT_TRUE(within(20s, [&] { return !is_stuck(id); })) << log_->trouble(id);
    EXPECT_EQ(append(id, 10), AppendStatus::queued);
    EXPECT_TRUE(within(10s, [&] { return has_all(id); })) << id.value;
  }
  EXPECT_THAT(why(), IsEmpty());
}

TEST_F(KafkaLogTest, WhatWasRefusedIsTriedAgainAndThenTaken) {
  open();
  cluster_.fail(kSecond, kProduce, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1);
  append(kSecond, 1);
  // Of all partitions of the topic, for that is what such an error is about.
  for (const auto id : {kFirst, kSecond})
    ASSERT_TRUE(within(5s, [&] { return !log_->trouble(id).empty(); }));
  EXPECT_THAT(log_->trouble(kFirst), HasSubstr("too large"));
  EXPECT_THAT(log_->trouble(model::kControl), IsEmpty());
  EXPECT_EQ(append(kFirst, 1), AppendStatus::unavailable);
  EXPECT_TRUE(within(10s, [&] { return append(kFirst, 1) == AppendStatus::queued; }));
  EXPECT_TRUE(within(2s, [&] { return log_->trouble(kFirst).empty() && has_all(kFirst); }));
  EXPECT_THAT(log_->trouble(kSecond), HasSubstr("too large")) << "it was not tried yet";
}

// The first records come late, and meanwhile the ends, which were known, are no longer told.
TEST_F(KafkaLogTest, ANodeThatStartsAsksForTheEndsAgainAndAgainWithoutHaste) {
  cluster_.fail(kSixth, kFetch, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 4);
  std::thread opening([&] { open(); });
  EXPECT_TRUE(within(20s, [&] { return cluster_.left(kSixth, kFetch) < 4; }));
  cluster_.fail(kFirst, kListOffsets, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 45);
  EXPECT_TRUE(within(20s, [&] { return cluster_.left(kSixth, kFetch) == 0; }));
  const auto begin = Clock::now();
  EXPECT_TRUE(within(10s, [&] { return cluster_.left(kFirst, kListOffsets) == 0; }));
  EXPECT_GE(Clock::now() - begin, 1'200ms) << "three are asked for at a time, ten times a second";
  opening.join();
}

// The steward believes tails that show our clock ahead only beside an end that is younger.
TEST_F(KafkaLogTest, WhereTheOthersEndIsKnownAtOnceWhileOneLeaderIsSilent) {
  open();
  cluster_.down(kFifth);
  ASSERT_TRUE(within(20s, [&] { return !log_->trouble(kFifth).empty(); }));
  for (const auto id : {kFirst, kSixth, model::kControl})
    EXPECT_TRUE(within(10s, [&] {
      return wall_clock() - log_->end(id).as_of < limits::kClockSkew;
    })) << id.value;
}

TEST_F(KafkaLogTest, AReaderThatCouldNotBeginBeginsWithTheNextQuestion) {
  open();
  append(kSecond, 100);
  ASSERT_TRUE(within(10s, [&] { return has_all(kSecond); }));
  log_->close();
  const auto reader = KafkaLogReader::open(cluster_.source()).value();
  int count = 0;
  const auto take = [&](Offset, std::string_view) {
    ++count;
    return Result<void>();
  };
  ASSERT_TRUE(reader->for_each(kSecond, {0}, {50}, take));
  const Offset nowhere{static_cast<std::uint64_t>(RD_KAFKA_OFFSET_STORED)};
  EXPECT_FALSE(reader->for_each(kSecond, nowhere, nowhere.plus(1), take));
  ASSERT_TRUE(reader->for_each(kSecond, {50}, {101}, take));
  EXPECT_EQ(count, 101);
}

TEST_F(KafkaLogTest, AReaderAsksAgainAndTellsWhatItWasTold) {
  open();
  append(kSecond, 100);
  ASSERT_TRUE(within(10s, [&] { return has_all(kSecond); }));
  log_->close();
  const auto reader = KafkaLogReader::open(cluster_.source()).value();
  const auto read = [&] {
    std::uint64_t count = 0;
    const auto done = reader->for_each(kSecond, {0}, {101}, [&](Offset at, std::string_view) {
      EXPECT_EQ(at.value, count++);
      return Result<void>();
    });
    return done ? std::to_string(count) : done.error().message;
  };
  cluster_.fail(kSecond, kFetch, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, 2);
  EXPECT_EQ(read(), "101");
  cluster_.fail(kSecond, kFetch, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1'000);
  EXPECT_THAT(read(), AllOf(HasSubstr("partition 1 of the topic log.ballots"),
                            HasSubstr("Topic authorization failed")));
  KafkaLogOptions options;
  options.source = cluster_.source();
  const auto refused = KafkaLog::open(std::move(options));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("Topic authorization failed"));
}

}  // namespace
}  // namespace veche::storage
