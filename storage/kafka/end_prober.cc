#include "storage/kafka/end_prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "engine/model/limits.h"
#include "storage/clock.h"

namespace veche::storage {

using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Destroys<rd_kafka_metadata_destroy>>;

// Of all partitions, and what is told already.
struct EndProber::Question {
  std::vector<ToldEnd> answers;
  const Take& take;

  bool is_answered() const {
    return std::all_of(answers.begin(), answers.end(),
                       [](const auto& answer) { return answer.end.has_value(); });
  }
};

Result<EndProber> EndProber::make(const KafkaSource& source,
                                  const std::vector<model::PartitionId>& partitions) {
  auto client = make_admin_client(source);
  if (!client) return client.error();
  EndProber prober(*std::move(client), source.address);
  for (const auto partition : partitions) {
    auto [topic, number] = place_of(source.address, partition);
    prober.places_.push_back({std::move(topic), number});
  }
  return prober;
}

EndProber::EndProber(Client client, const KafkaAddress& address)
    : client_(std::move(client)),
      control_(client_.topic(address.control_topic())),
      ballots_(client_.topic(address.ballots_topic())) {}

// One question to all leaders at once is answered with the last of them, or not at all. So when one
// is silent, each is asked by itself.
void EndProber::ask(const Take& take) {
  Question question{std::vector<ToldEnd>(places_.size()), take};
  Group all(places_.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  if (!apart_) ask_together(all, question);
  if (question.is_answered()) return;
  for (const auto& [leader, group] : by_leader(question.answers))
    if (ask_apart(group, question))
      silent_.erase(leader);
    else
      silent_.insert(leader);
  apart_ = !question.is_answered();
  for (const auto which : all)
    if (!question.answers[which].end) take(which, question.answers[which]);
}

// What is not answered yet, as a broker tells its leaders now; partitions without one are in no
// group. Who was silent before comes last, so that the others do not wait for him.
std::vector<EndProber::Led> EndProber::by_leader(std::vector<ToldEnd>& answers) const {
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error =
      rd_kafka_metadata(client_.get(), 0, nullptr, &raw, to_ms(limits::kKafkaProbeDeadline));
  const Metadata metadata(raw);
  std::map<std::int32_t, Group> groups;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (answers[i].end) continue;
    const auto* partition = metadata ? find(*metadata, places_[i]) : nullptr;
    answers[i].error = error        ? rd_kafka_err2str(error)
                       : !partition ? "no broker knows the partition"
                       : partition->err || partition->leader < 0
                           ? rd_kafka_err2str(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
                           : "";
    if (partition && partition->leader >= 0) groups[partition->leader].push_back(i);
  }
  std::vector<Led> sorted(groups.begin(), groups.end());
  std::stable_partition(sorted.begin(), sorted.end(),
                        [&](const Led& led) { return !silent_.contains(led.first); });
  return sorted;
}

const rd_kafka_metadata_partition_t* EndProber::find(const rd_kafka_metadata_t& metadata,
                                                     const Place& place) {
  for (int t = 0; t < metadata.topic_cnt; ++t) {
    const auto& topic = metadata.topics[t];
    if (topic.topic != place.topic) continue;
    const auto* end = topic.partitions + topic.partition_cnt;
    const auto* found = std::find_if(topic.partitions, topic.partitions + topic.partition_cnt,
                                     [&](const auto& each) { return each.id == place.number; });
    if (found != end) return found;
  }
  return nullptr;
}

// An error of one partition hides the others' answers from librdkafka's caller.
bool EndProber::ask_apart(const Group& group, Question& question) {
  const auto error = ask_together(group, question);
  if (!error) return true;
  if (error != RD_KAFKA_RESP_ERR__TIMED_OUT && group.size() > 1)
    for (const auto which : group) ask_together({which}, question);
  return false;
}

rd_kafka_resp_err_t EndProber::ask_together(const Group& group, Question& question) {
  const PartitionList asked(rd_kafka_topic_partition_list_new(static_cast<int>(group.size())));
  for (const auto which : group)
    rd_kafka_topic_partition_list_add(asked.get(), places_[which].topic.c_str(),
                                      places_[which].number)
        ->offset = RD_KAFKA_OFFSET_END;
  const auto as_of = wall_clock();
  const auto error =
      rd_kafka_offsets_for_times(client_.get(), asked.get(), to_ms(limits::kKafkaProbeDeadline));
  for (std::size_t i = 0; i < group.size(); ++i) {
    const auto& told = asked->elems[i];  // librdkafka keeps the order
    auto& answer = question.answers[group[i]];
    if (error || told.err || told.offset < 0) {
      answer.error = rd_kafka_err2str(error ? error : told.err);
      continue;
    }
    answer = {model::Offset{static_cast<std::uint64_t>(told.offset)}, as_of, {}};
    question.take(group[i], answer);
  }
  return error;
}

std::optional<model::Offset> EndProber::ask_begin(std::size_t which) {
  const PartitionList asked(rd_kafka_topic_partition_list_new(1));
  auto* place = rd_kafka_topic_partition_list_add(asked.get(), places_[which].topic.c_str(),
                                                  places_[which].number);
  place->offset = RD_KAFKA_OFFSET_BEGINNING;
  if (rd_kafka_offsets_for_times(client_.get(), asked.get(), to_ms(limits::kKafkaProbeDeadline)) ||
      place->err || place->offset < 0)
    return std::nullopt;
  return model::Offset{static_cast<std::uint64_t>(place->offset)};
}

}  // namespace veche::storage
