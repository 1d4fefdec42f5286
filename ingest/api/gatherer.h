// Gathers the tallies of polls for an HTTP thread, and for many who ask at once only once.
#pragma once

#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/model/limits.h"
#include "engine/node/collected.h"
#include "ingest/api/app.h"

namespace veche::api {

// One gathering at a time for each poll; who asks meanwhile shares the next one, so that an answer
// is never older than its question. Belongs to the thread of its worker.
template <class Question>
class Gatherer {
 public:
  // All questions of one gathering together: equal ones can be given the same bytes.
  using Answer = std::function<void(const node::Collected&, const std::vector<Question>&)>;

  Gatherer(Local& local, Answer answer) : local_(local), answer_(std::move(answer)) {}

  bool is_full() const { return waiting_ >= limits::kResultsWaitingPerThread; }

  void ask(const model::PollId& poll, Question question) {
    ++waiting_;
    auto& gathering = gatherings_[poll];
    gathering.next.push_back(std::move(question));
    if (gathering.now.empty()) gather(poll);
  }

 private:
  struct Gathering {
    std::vector<Question> now;
    std::vector<Question> next;
  };

  void gather(const model::PollId& poll) {
    auto& gathering = gatherings_[poll];
    gathering.now = std::exchange(gathering.next, {});
    local_.app.node.collect(poll, [this, &worker = local_.worker, poll](node::Collected collected) {
      worker.post(
          [this, poll, collected = std::move(collected)] { on_collected(poll, collected); });
    });
  }

  void on_collected(const model::PollId& poll, const node::Collected& collected) {
    auto& gathering = gatherings_[poll];
    const auto questions = std::exchange(gathering.now, {});
    answer_(collected, questions);
    waiting_ -= questions.size();
    if (gathering.next.empty())
      gatherings_.erase(poll);
    else
      gather(poll);
  }

  Local& local_;
  const Answer answer_;
  std::unordered_map<model::PollId, Gathering> gatherings_;
  std::size_t waiting_ = 0;  // questions, over all polls
};

}  // namespace veche::api
