// Answers that many may ask for and that cost more than a ballot: results in all their forms,
// pages, certificates, the tree. Made by the Writers, so two at once in the whole process; the
// others wait within bounds.
//
// What is asked about one subject is made in turns. A turn takes what has been asked by then, a few
// different documents of it, and only then gathers the counts: so no answer is older than its
// question (docs/decisions/0007). Counts are published once for each look; equal documents are
// made once, and all who ask are given the same bytes. What was made is kept within bounds, and
// given out again for as long as a new gathering finds every partition exactly where it was, or the
// log has told nothing new.
//
// Order of life: construct; any calls; the writers' stop; destruct. All methods may be called from
// any thread.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/node/collected.h"
#include "engine/publish/snapshot.h"
#include "ingest/api/writers.h"
#include "ingest/http/handler.h"
#include "ingest/http/response.h"

namespace veche::api {

// One that was published before, as publish::publish_version takes it.
struct EarlierVersion {
  std::uint64_t number = 0;
  std::string state;
  friend auto operator<=>(const EarlierVersion&, const EarlierVersion&) = default;
};

// As what a poll's counts are to be published.
struct Look {
  publish::Viewer viewer = publish::Viewer::anybody;
  publish::Detail detail = publish::Detail::by_territory;
  std::optional<EarlierVersion> version;  // none: the newest
  friend auto operator<=>(const Look&, const Look&) = default;
};

class Documents {
 public:
  using Document = std::shared_ptr<const http::Response>;
  // Called once on any thread, also within the question: must only hand over. Null: there was no
  // time for it.
  using Take = std::function<void(const Document&)>;
  using Make = std::function<http::Response()>;
  // The poll as it was when it was counted so. Null: the version is not kept.
  using MakeOfCounts =
      std::function<http::Response(const model::PollEntry&, const publish::Published*)>;

  // Asks the shards, as node::Node::collect does.
  using Collect =
      std::function<void(const model::PollId&, std::function<void(node::Collected)> done)>;

  Documents(Collect collect, Writers& writers) : collect_(std::move(collect)), writers_(writers) {}

  // Names a document: equal forms of equal looks are equal bytes. Of what a client may make up
  // without end, such as words that are searched for, fewer may wait, and none is kept, so that
  // nobody drives out what others ask for.
  struct Form {
    Form(const char* what) : name(what) {}
    Form(std::string what, bool is_one_of_many = false)
        : name(std::move(what)), is_of_many(is_one_of_many) {}
    std::string name;
    bool is_of_many = false;
    friend bool operator==(const Form&, const Form&) = default;
  };

  // Of a poll's counts. What is small and what nobody can vote without comes first, and is never
  // refused. False: too much is waiting, and take is not called.
  bool of_counts(const std::shared_ptr<const model::PollEntry>& poll, const Look& look, Form form,
                 MakeOfCounts make, Take take, Writers::Order order = Writers::Order::in_turn);
  // Of what the log alone has told: `state` is that, an immutable value.
  bool of_state(const std::string& subject, std::shared_ptr<const void> state, Form form, Make make,
                Take take, Writers::Order order = Writers::Order::in_turn);

 private:
  using Clock = std::chrono::steady_clock;

  struct Key {
    std::shared_ptr<const void> state;  // null: what the partitions have counted
    std::optional<Look> look;           // none: it has nothing to do with counts
    Form form;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Asker {
    Take take;
    Clock::time_point at;
  };
  // Both null where it has nothing to do with counts.
  using MakeAny = std::function<http::Response(const model::PollEntry*, const publish::Published*)>;
  struct Wanted {
    Key key;
    MakeAny make;
    std::vector<Asker> askers;
  };
  struct Subject {
    std::deque<Wanted> wanted;     // for the next turn
    std::size_t turns_queued = 0;  // one, and one that comes first
    bool is_in_turn = false;
    bool is_urgent = false;  // the next turn comes first
  };
  struct Shown {
    std::shared_ptr<const void> state;
    Look look;
    std::shared_ptr<const publish::Published> published;
  };
  struct Made {
    Key key;
    Document document;
  };
  // What was made of a subject; `counts` are those of all that has no state.
  struct Kept {
    std::string subject;
    node::Collected counts;
    std::vector<Shown> shown;
    std::deque<Made> made;  // the newest first
    std::size_t bytes = 0;

    Document find(const Key& key) const;
    void forget_counts();
    void forget_other_states(const std::shared_ptr<const void>& state);
    void measure();
  };
  using KeptList = std::list<Kept>;

  bool ask(const std::string& subject, Key key, MakeAny make, Take take, Writers::Order order);
  Document find_kept(const std::string& subject, const Key& key);
  bool add(Subject& subject, Key key, MakeAny make, Take& take, Writers::Order order);
  static bool has_room(const Subject& subject, const Form& form);
  void queue_turn(const std::string& name, Subject& subject, Writers::Order order);

  void take_turn(const std::string& subject);
  bool begin_turn(const std::string& name, std::vector<Wanted>& wanted);
  void end_turn(const std::string& name);
  void forget_unless_wanted(const std::string& name, const Subject& subject);
  void renew_counts(Kept& kept, const std::vector<Wanted>& wanted);
  static void make(Kept& kept, const Wanted& wanted);
  static const model::PollEntry* poll_of(const Kept& kept, const Key& key);
  static std::shared_ptr<const publish::Published> show(Kept& kept, const Key& key);
  node::Collected gather(const model::PollId& poll);
  Kept take_kept(const std::string& subject);
  void keep(Kept kept);

  const Collect collect_;
  Writers& writers_;

  std::mutex mutex_;
  std::map<std::string, Subject> subjects_;         // of which something is wanted
  std::size_t documents_waiting_ = 0, askers_ = 0;  // of what is wanted in all
  KeptList kept_;                                   // the last used first
  std::unordered_map<std::string, KeptList::iterator> places_;
  std::size_t kept_bytes_ = 0;
};

// Sends the document on the request's own thread; `late` where there is none.
Documents::Take sender(const http::Responder& responder, http::Response late);

}  // namespace veche::api
