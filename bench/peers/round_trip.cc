// What Kafka itself takes, without Veche: records of one size are produced at planned times and
// consumed again by the same process, as a node does it, with the settings of storage/kafka. Every
// record must come back, once, in its partition's order; else there is no figure.
//
//   round_trip BROKERS RATE SECONDS [BYTES]      prints one line of JSON
//
// The latencies of the first two seconds are not told: they are those of its start.
//
// A rate of 0: as fast as it goes, with at most 100,000 on their way.
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr int kPartitions = 12;
constexpr std::int64_t kAtOnce = 100'000;
constexpr auto kStart = 2s;

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "round_trip: {}\n", why);
  std::exit(1);
}

rd_kafka_t* make(rd_kafka_type_t type, const char* brokers,
                 const std::vector<std::pair<const char*, const char*>>& settings) {
  char error[512];
  auto* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof error);
  for (const auto& [name, value] : settings)
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK)
      give_up(error);
  auto* handle = rd_kafka_new(type, conf, error, sizeof error);
  if (!handle) give_up(error);
  return handle;
}

void make_topic(rd_kafka_t* handle, const std::string& name) {
  char error[512];
  auto* topic = rd_kafka_NewTopic_new(name.c_str(), kPartitions, 1, error, sizeof error);
  auto* answers = rd_kafka_queue_new(handle);
  rd_kafka_CreateTopics(handle, &topic, 1, nullptr, answers);
  auto* event = rd_kafka_queue_poll(answers, 20'000);
  if (!event || rd_kafka_event_error(event)) give_up("the topic cannot be made");
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(answers);
  rd_kafka_NewTopic_destroy(topic);
}

// Each record carries its number and when it was to be sent.
struct Stamp {
  std::uint64_t number;
  std::int64_t planned_ns;
};

class RoundTrip {
 public:
  RoundTrip(const char* brokers, std::uint64_t rate, std::chrono::seconds duration,
            std::size_t bytes)
      : rate_(rate), duration_(duration), record_(std::max(bytes, sizeof(Stamp)), 'v') {
    producer_ = make(RD_KAFKA_PRODUCER, brokers,
                     {{"acks", "all"},
                      {"linger.ms", "2"},
                      {"socket.nagle.disable", "true"},
                      {"queue.buffering.max.messages", "1000000"}});
    consumer_ = make(RD_KAFKA_CONSUMER, brokers,
                     {{"auto.offset.reset", "error"},
                      {"enable.auto.commit", "false"},
                      {"check.crcs", "true"},
                      {"socket.nagle.disable", "true"},
                      {"queued.min.messages", "400000"}});
    const auto name = fmt::format("round-trip-{}", ::time(nullptr) * 1'000 + std::rand() % 1'000);
    make_topic(producer_, name);
    std::this_thread::sleep_for(500ms);
    to_ = rd_kafka_topic_new(producer_, name.c_str(), nullptr);
    from_ = rd_kafka_topic_new(consumer_, name.c_str(), nullptr);
    look_up(producer_, to_);
    look_up(consumer_, from_);
    queue_ = rd_kafka_queue_new(consumer_);
    for (int p = 0; p < kPartitions; ++p) rd_kafka_consume_start_queue(from_, p, 0, queue_);
  }

  void run() {
    const auto begin = Clock::now();
    measured_from_ = (begin + kStart).time_since_epoch().count();
    std::thread consuming([this] { consume(); });
    std::thread polling([this] {
      while (!done_) rd_kafka_poll(producer_, 100);
    });
    produce(begin);
    const auto deadline = Clock::now() + 30s;
    while (consumed_ < produced_ && Clock::now() < deadline) std::this_thread::sleep_for(1ms);
    const auto took = Clock::now() - begin;
    done_ = true;
    consuming.join();
    polling.join();
    report(took);
    std::_Exit(0);  // what librdkafka would do at its end is no part of it
  }

 private:
  static void look_up(rd_kafka_t* handle, rd_kafka_topic_t* topic) {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(handle, 0, topic, &metadata, 10'000)) give_up("no broker answers");
    rd_kafka_metadata_destroy(metadata);
  }

  void produce(Clock::time_point begin) {
    for (std::uint64_t number = 0;; ++number) {
      auto planned = Clock::now();
      if (rate_ > 0) {
        planned = begin + Nanoseconds(1s) * number / rate_;
        if (planned - Clock::now() > 200us) std::this_thread::sleep_until(planned);
      }
      if (planned - begin >= duration_) return;
      while (produced_ - consumed_ >= kAtOnce) std::this_thread::sleep_for(100us);
      const Stamp stamp{number, planned.time_since_epoch().count()};
      std::memcpy(record_.data(), &stamp, sizeof stamp);
      const auto error =
          rd_kafka_producev(producer_, RD_KAFKA_V_RKT(to_),
                            RD_KAFKA_V_PARTITION(static_cast<std::int32_t>(number % kPartitions)),
                            RD_KAFKA_V_VALUE(record_.data(), record_.size()),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
      if (error) give_up(rd_kafka_err2str(error));
      ++produced_;
    }
  }

  void consume() {
    std::vector<std::uint64_t> next(kPartitions);
    for (int p = 0; p < kPartitions; ++p)
      next[static_cast<std::size_t>(p)] = static_cast<std::uint64_t>(p);
    std::vector<rd_kafka_message_t*> messages(1'000);
    while (!done_) {
      const auto count = rd_kafka_consume_batch_queue(queue_, 1, messages.data(), messages.size());
      const auto now = Clock::now().time_since_epoch().count();
      for (ssize_t i = 0; i < count; ++i) {
        const auto* message = messages[static_cast<std::size_t>(i)];
        if (message->err) give_up(rd_kafka_message_errstr(message));
        Stamp stamp{};
        std::memcpy(&stamp, message->payload, sizeof stamp);
        auto& expected = next[static_cast<std::size_t>(message->partition)];
        if (stamp.number != expected) give_up("a record is missing, or came twice");
        expected += kPartitions;
        if (stamp.planned_ns >= measured_from_) latencies_.push_back(now - stamp.planned_ns);
        rd_kafka_message_destroy(messages[static_cast<std::size_t>(i)]);
      }
      if (count > 0) consumed_ += count;
    }
  }

  void report(Nanoseconds took) {
    if (consumed_ != produced_) give_up("not every record came back");
    if (latencies_.empty()) give_up("SECONDS must be more than the two of its start");
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [&](double share) {
      return static_cast<double>(latencies_[static_cast<std::size_t>(
                 share * static_cast<double>(latencies_.size() - 1))]) /
             1e6;
    };
    fmt::print(
        R"({{"records":{},"bytes":{},"rate":{:.0f},"p50_ms":{:.2f},"p99_ms":{:.2f},"max_ms":{:.2f}}})"
        "\n",
        consumed_.load(), record_.size(),
        static_cast<double>(consumed_.load()) / std::chrono::duration<double>(took).count(),
        at(0.5), at(0.99), at(1.0));
    std::fflush(stdout);
  }

  const std::uint64_t rate_;
  const std::chrono::seconds duration_;
  std::string record_;
  rd_kafka_t* producer_ = nullptr;
  rd_kafka_t* consumer_ = nullptr;
  rd_kafka_topic_t* to_ = nullptr;
  rd_kafka_topic_t* from_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  std::int64_t measured_from_ = 0;
  std::vector<std::int64_t> latencies_;  // of the consuming thread, until it has ended
  std::atomic<std::int64_t> produced_{0}, consumed_{0};
  std::atomic<bool> done_{false};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) give_up("usage: round_trip BROKERS RATE SECONDS [BYTES]");
  RoundTrip(argv[1], std::strtoull(argv[2], nullptr, 10),
            std::chrono::seconds(std::strtoul(argv[3], nullptr, 10)),
            argc > 4 ? std::strtoul(argv[4], nullptr, 10) : 150)
      .run();
}
