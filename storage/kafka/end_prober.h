// Asks the leaders where the partitions of a log end. Over a connection of its own: a question does
// not wait behind a long fetch. For one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/result.h"
#include "storage/kafka/client.h"
#include "storage/kafka/kafka_address.h"

namespace veche::storage {

// The answer to one question, for one partition.
struct ToldEnd {
  std::optional<model::Offset> end;  // none: no answer
  model::Instant as_of;              // every record in the partition then lay below `end`
  std::string error;                 // without an answer
};

class EndProber {
 public:
  // `which` counts in the order of the partitions that make() was given.
  using Take = std::function<void(std::size_t which, const ToldEnd& told)>;

  // Connects in the background.
  static Result<EndProber> make(const KafkaSource& source,
                                const std::vector<model::PartitionId>& partitions);

  // Bounded: kKafkaProbeDeadline for each broker. Tells of each partition once: as soon as its
  // leader answers, so that what one tells does not grow old while another is silent; and in the
  // end of those without an answer.
  void ask(const Take& take);
  // Of one of the partitions: the first offset that it still has. nullopt: no answer.
  std::optional<model::Offset> ask_begin(std::size_t which);
  // The leaders are looked up anew before the next question.
  void doubt_leaders() { apart_ = true; }

  // What librdkafka complained of last; empty: nothing.
  std::string complaint() const { return client_.complaint(); }

 private:
  struct Place {
    std::string topic;
    std::int32_t number = 0;
  };
  using Group = std::vector<std::size_t>;
  using Led = std::pair<std::int32_t, Group>;  // by a broker

  struct Question;

  EndProber(Client client, const KafkaAddress& address);
  std::vector<Led> by_leader(std::vector<ToldEnd>& answers) const;
  static const rd_kafka_metadata_partition_t* find(const rd_kafka_metadata_t& metadata,
                                                   const Place& place);
  bool ask_apart(const Group& group, Question& question);
  rd_kafka_resp_err_t ask_together(const Group& group, Question& question);

  Client client_;
  TopicHandle control_, ballots_;  // librdkafka refreshes what it knows of topics that are in use
  std::vector<Place> places_;
  bool apart_ = false;             // each leader is asked by itself
  std::set<std::int32_t> silent_;  // leaders that did not answer last time
};

}  // namespace veche::storage
