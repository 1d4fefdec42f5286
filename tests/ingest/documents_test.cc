// What is made once, for whom it is kept, and who has to wait or is refused. The counts come from
// the test, which says when a gathering ends; the writers are real.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <vector>

#include "engine/model/limits.h"
#include "ingest/api/documents.h"
#include "tests/eventually.h"

namespace veche::api {
namespace {

using namespace std::chrono_literals;
using Document = Documents::Document;

std::shared_ptr<model::PollEntry> poll_entry(std::string_view id) {
  auto definition = std::make_shared<model::PollDefinition>();
  definition->id = *model::PollId::parse(id);
  definition->questions = {{.id = "q",
                            .title = {"?", ""},
                            .kind = model::QuestionKind::single,
                            .min = 1,
                            .max = 1,
                            .points = {},
                            .options = {{"a", {"A", ""}}, {"b", {"B", ""}}}}};
  auto entry = std::make_shared<model::PollEntry>();
  entry->definition = definition;
  entry->tree = std::make_shared<const model::TerritoryTree>(*model::TerritoryTree::parse_csv(
      "oktmo8,name,kind,level,parent_oktmo8\n75000000,Region,region,0,\n"));
  entry->phase = model::PollPhase::open;
  return entry;
}

class DocumentsTest : public testing::Test {
 protected:
  ~DocumentsTest() override {
    go();
    writers_.stop();
  }

  // Cast in the only partition by now.
  void vote(int ballots) {
    const std::lock_guard lock(mutex_);
    ballots_ += ballots;
  }
  void pass(std::chrono::milliseconds time) {
    const std::lock_guard lock(mutex_);
    now_ += time;
  }
  // Until go(), a gathering that has begun waits.
  void hold() {
    const std::lock_guard lock(mutex_);
    is_held_ = true;
  }
  void go() {
    const std::lock_guard lock(mutex_);
    is_held_ = false;
    changed_.notify_all();
  }
  void await_gathering() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 10s, [this] { return is_gathering_; }));
  }
  int gathered() {
    const std::lock_guard lock(mutex_);
    return gathered_;
  }

  struct Asked {
    bool is_taken = false;
    std::future<Document> document;
  };
  Asked ask(const std::shared_ptr<const model::PollEntry>& poll, Documents::Form asked_form,
            Look look = {}, Writers::Order order = Writers::Order::in_turn) {
    const auto form = asked_form.name;
    const auto promise = std::make_shared<std::promise<Document>>();
    Asked asked{false, promise->get_future()};
    asked.is_taken = documents_.of_counts(
        poll, look, std::move(asked_form),
        [this, form](const auto&, const auto* published) {
          note_made(form);
          const auto& snapshot = std::get<publish::Snapshot>(*published);
          return http::Response{200, "text/plain", fmt_of(form, snapshot.ballots()), {}};
        },
        [promise](const Document& document) { promise->set_value(document); }, order);
    return asked;
  }
  Document get(const std::shared_ptr<const model::PollEntry>& poll, Documents::Form form,
               Look look = {}) {
    auto asked = ask(poll, std::move(form), look);
    EXPECT_TRUE(asked.is_taken);
    EXPECT_EQ(asked.document.wait_for(10s), std::future_status::ready);
    return asked.document.get();
  }
  static std::string fmt_of(const std::string& form, std::uint64_t ballots) {
    return form + " " + std::to_string(ballots);
  }

  // The forms of what was made by now, the earliest first.
  std::vector<std::string> made() {
    const std::lock_guard lock(mutex_);
    return made_;
  }

  const std::shared_ptr<const model::PollEntry> poll_ = poll_entry("poll");

  Documents& documents() { return documents_; }

 private:
  void collect(const model::PollId& id, const std::function<void(node::Collected)>& done) {
    std::unique_lock lock(mutex_);
    ++gathered_;
    is_gathering_ = true;
    changed_.notify_all();
    const auto ballots = ballots_;
    changed_.wait(lock, [this] { return !is_held_; });
    is_gathering_ = false;
    auto& poll = polls_[id];
    if (!poll) poll = id == poll_->definition->id ? poll_ : poll_entry(id.view());
    const auto tally = std::make_shared<model::Tally>(*poll->definition);
    for (int i = 0; i < ballots; ++i)
      tally->add(*poll->definition, *model::TerritoryCode::parse("75000000"), {{0, {{0, 0}}}}, 1);
    node::PartialTally partial;
    partial.changes = static_cast<std::uint64_t>(ballots);
    partial.as_of = now_;
    partial.tally = tally;
    done({poll, {partial}, now_});
  }

  void note_made(const std::string& form) {
    const std::lock_guard lock(mutex_);
    made_.push_back(form);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> made_;
  int ballots_ = 0, gathered_ = 0;
  model::Instant now_{1'800'000'000s};
  bool is_held_ = false, is_gathering_ = false;
  std::map<model::PollId, std::shared_ptr<const model::PollEntry>> polls_;
  Writers writers_;
  Documents documents_{[this](const auto& id, auto done) { collect(id, done); }, writers_};
};

TEST_F(DocumentsTest, AreTheSameBytesWhileNothingIsCounted) {
  const auto first = get(poll_, "json");
  EXPECT_EQ(get(poll_, "json"), first);
  EXPECT_EQ(made().size(), 1u);
  EXPECT_NE(get(poll_, "csv"), first);
  EXPECT_EQ(get(poll_, "json"), first) << "another form takes nothing from it";
  EXPECT_EQ(made().size(), 2u);
}

TEST_F(DocumentsTest, AreNeverOlderThanTheirQuestion) {
  EXPECT_EQ(get(poll_, "json")->body, "json 0");
  vote(1);
  EXPECT_EQ(get(poll_, "json")->body, "json 1");
  hold();
  auto before = ask(poll_, "json");
  await_gathering();
  vote(1);
  auto after = ask(poll_, "json");  // the gathering that goes on is not for this one
  go();
  EXPECT_EQ(before.document.get()->body, "json 1");
  EXPECT_EQ(after.document.get()->body, "json 2");
  EXPECT_EQ(gathered(), 4);
}

TEST_F(DocumentsTest, OfOneGatheringAreForAllWhoAskedBefore) {
  hold();
  auto first = ask(poll_, "json");
  await_gathering();
  std::vector<Asked> others;
  for (int i = 0; i < 1'000; ++i) others.push_back(ask(poll_, "json"));
  go();
  const auto document = others[0].document.get();
  for (std::size_t i = 1; i < others.size(); ++i) EXPECT_EQ(others[i].document.get(), document);
  EXPECT_EQ(gathered(), 2);
}

TEST_F(DocumentsTest, AreMadeAgainForAnotherMoment) {
  const auto first = get(poll_, "json");
  pass(limits::kDocumentFreshness - 1ms);
  EXPECT_EQ(get(poll_, "json"), first);
  pass(1ms);
  EXPECT_NE(get(poll_, "json"), first) << "as_of must not stand still";
}

TEST_F(DocumentsTest, OfAnAuditorAreNotKept) {
  const auto first = get(poll_, "json");
  const auto auditor = Look{publish::Viewer::auditor, publish::Detail::by_territory, std::nullopt};
  EXPECT_NE(get(poll_, "json", auditor), first);
  const auto again = get(poll_, "json", auditor);
  EXPECT_NE(get(poll_, "json", auditor), again);
}

TEST_F(DocumentsTest, BeyondTheLimitsAreRefusedAtOnceButForVoters) {
  hold();
  auto first = ask(poll_, "json");
  await_gathering();
  std::vector<Asked> asked;
  for (std::size_t i = 0; i < limits::kDocumentsWaitingPerSubject; ++i)
    asked.push_back(ask(poll_, std::to_string(i)));
  EXPECT_TRUE(asked.back().is_taken);
  EXPECT_FALSE(ask(poll_, "one more").is_taken);
  EXPECT_TRUE(ask(poll_, "0").is_taken) << "of what waits already there may be more askers";
  const auto other = ask(poll_entry("other"), "json");
  EXPECT_TRUE(other.is_taken) << "another poll has room of its own";
  const Look voter{publish::Viewer::voter, publish::Detail::whole_poll, std::nullopt};
  auto counted = ask(poll_, "mine", voter, Writers::Order::first);
  EXPECT_TRUE(counted.is_taken);
  const auto before = made().size();
  go();
  EXPECT_EQ(counted.document.get()->body, "mine 0");
  for (auto& each : asked) EXPECT_NE(each.document.get(), nullptr);
  const auto all = made();
  const auto place = std::find(all.begin(), all.end(), "mine") - all.begin();
  EXPECT_LE(static_cast<std::size_t>(place), before + 2 * limits::kDocumentsPerTurn);
}

// Both writers are busy, one of them to the end, so that the order of turns is to be seen.
TEST_F(DocumentsTest, OfOneSubjectTakeNoMoreThanTheirTurns) {
  std::promise<void> one, other;
  const auto state = std::make_shared<const int>(1);
  const auto keep_busy = [&](const std::string& subject, std::promise<void>& until) {
    std::promise<void> began;
    documents().of_state(
        subject, state, "waits",
        [&, over = until.get_future().share()] {
          began.set_value();
          over.wait();
          return http::Response{};
        },
        [](const Document&) {});
    began.get_future().wait();
  };
  keep_busy("one", one);
  keep_busy("other", other);
  const auto second = poll_entry("second");
  std::vector<Asked> asked;
  for (int i = 0; i < 20; ++i) asked.push_back(ask(poll_, "a" + std::to_string(i)));
  for (int i = 0; i < 8; ++i) asked.push_back(ask(second, "b" + std::to_string(i)));
  const Look voter{publish::Viewer::voter, publish::Detail::whole_poll, std::nullopt};
  asked.push_back(ask(poll_, "urgent", voter, Writers::Order::first));
  one.set_value();
  for (auto& each : asked) EXPECT_NE(each.document.get(), nullptr);
  other.set_value();
  std::string order;
  for (const auto& form : made()) order += form[0];
  EXPECT_EQ(order,
            "uaaa"
            "aaaa"
            "bbbb"
            "aaaa"
            "bbbb"
            "aaaa"
            "aaaaa")
      << "four to a turn";
}

TEST_F(DocumentsTest, ThatClientsMakeUpDriveNobodyOut) {
  const auto json = get(poll_, "json");
  for (std::size_t i = 0; i < limits::kDocumentsKept; ++i)
    get(poll_, {"search " + std::to_string(i), true});
  EXPECT_EQ(get(poll_, "json"), json) << "what was asked for before is kept";
  hold();
  auto first = ask(poll_, "page");
  await_gathering();
  std::vector<Asked> asked;
  for (std::size_t i = 0; i < limits::kOfManyWaitingPerSubject; ++i)
    asked.push_back(ask(poll_, {"found " + std::to_string(i), true}));
  EXPECT_TRUE(asked.back().is_taken);
  EXPECT_FALSE(ask(poll_, {"one more", true}).is_taken);
  EXPECT_TRUE(ask(poll_, {"found 0", true}).is_taken) << "there may be more askers";
  EXPECT_TRUE(ask(poll_, "csv").is_taken) << "what is not made up has room";
  go();
  for (auto& each : asked) EXPECT_NE(each.document.get(), nullptr);
}

TEST_F(DocumentsTest, OfTheLogAloneAreMadeOnceForEachState) {
  auto entry = poll_entry("steps");
  auto definition = std::make_shared<model::PollDefinition>(*entry->definition);
  definition->disclosure = model::Disclosure::steps;
  definition->targets = {*model::TerritoryCode::parse("75000000")};
  entry->definition = definition;
  entry->target_places = model::places_of_targets(*definition, *entry->tree);
  entry->cells =
      std::make_shared<const model::PollCells>(*definition, *entry->tree, entry->target_places);
  const auto first = get(entry, "page");
  EXPECT_EQ(get(entry, "page"), first);
  EXPECT_EQ(gathered(), 0);
  const auto next = std::make_shared<const model::PollEntry>(*entry);
  EXPECT_NE(get(next, "page"), first) << "something happened to the poll";
  EXPECT_EQ(made().size(), 2u);
}

TEST_F(DocumentsTest, AreKeptWithinTheLimit) {
  const auto state = std::make_shared<const int>(1);
  const auto large = [&](const std::string& subject, std::size_t bytes) {
    const auto promise = std::make_shared<std::promise<Document>>();
    documents().of_state(
        subject, state, "large",
        [bytes] {
          return http::Response{200, "text/plain", std::string(bytes, 'x'), {}};
        },
        [promise](const Document& document) { promise->set_value(document); });
    return promise->get_future().get();
  };
  const auto a = large("a", limits::kDocumentBytesKept / 2);
  EXPECT_EQ(large("a", 1), a) << "its state is the same";
  const auto b = large("b", limits::kDocumentBytesKept / 2);
  EXPECT_EQ(large("b", 1), b);
  large("c", limits::kDocumentBytesKept / 2);
  // It is kept soon after it was given out, and one of the others goes.
  EXPECT_TRUE(tests::eventually([&] { return large("a", 1) != a || large("b", 1) != b; }));
  const auto more = limits::kDocumentBytesKept + 1;
  EXPECT_EQ(large("d", more)->body.size(), more);
  EXPECT_EQ(large("d", 1)->body.size(), 1) << "larger than all that is kept";
}

}  // namespace
}  // namespace veche::api
