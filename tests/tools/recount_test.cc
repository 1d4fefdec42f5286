// A recount of real logs, against indexes that are right and against ones that are not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json.hpp>
#include <functional>

#include "engine/apply/partition.h"
#include "storage/index/checkpointed_index.h"
#include "storage/log/embedded_log.h"
#include "storage/log/embedded_log_reader.h"
#include "tests/engine/samples.h"
#include "tests/eventually.h"
#include "tests/storage/storage_fixture.h"
#include "tools/veche/command.h"
#include "tools/veche/recount_check.h"

namespace veche::tools {
namespace {

using model::PartitionId;
using samples::choose;
using storage::CheckpointedIndex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint16_t kPartitions = 2;

// The number-th voter whose ballots of the poll belong into the partition.
std::uint64_t voter_in(PartitionId partition, const model::PollId& poll, int number) {
  for (std::uint64_t v = 0;; ++v)
    if (model::partition_of(poll, samples::voter(v), kPartitions) == partition && number-- == 0)
      return v;
}

using Images = std::vector<model::PartitionImage>;
using Tamper = std::function<void(CheckpointedIndex&, Images&)>;

class RecountTest : public testing::Test {
 protected:
  RecountTest() { std::filesystem::create_directory(folder_ / "data"); }

  void write(PartitionId partition, const std::vector<std::string>& records) {
    storage::EmbeddedLogOptions options;
    options.folder = folder_ / "data/log";
    options.partitions = kPartitions;
    options.disk_reserve_bytes = 1;
    options.on_fatal = [](const std::string& why) { ADD_FAILURE() << why; };
    const auto log = storage::EmbeddedLog::open(std::move(options)).value();
    const auto end = log->end(partition).offset.plus(records.size());
    ASSERT_EQ(log->append(partition, storage::batch(records)), model::AppendStatus::queued);
    ASSERT_TRUE(tests::eventually([&] { return log->end(partition).offset >= end; }));
  }

  // What a node would have counted and checkpointed of the log as it is, or what `tamper` makes
  // of it.
  void make_index(const Tamper& tamper = [](auto&, auto&) {}) {
    const auto log = storage::EmbeddedLogReader::open(folder_ / "data/log").value();
    const auto store = storage::IndexStore::open(folder_ / "data/index", log->id()).value();
    CheckpointedIndex index(*store);
    Images images;
    for (std::uint16_t p = 0; p < kPartitions; ++p) {
      apply::Partition partition({{p}, {}, {}, 0, 0, {}}, index);
      ASSERT_TRUE(log->for_each({p}, {0}, log->end({p}).value(),
                                [&](model::Offset at, std::string_view bytes) -> Result<void> {
                                  EXPECT_FALSE(partition.apply(at, bytes).stops());
                                  return {};
                                }));
      images.push_back(partition.take_image());
    }
    tamper(index, images);
    index.begin_checkpoint(std::move(images));
    index.finish_checkpoint();
  }

  // A poll of all kinds in partition 0, with every fate of a ballot once or more.
  void write_every_fate() {
    const auto answers = model::Answers{
        {0, {{1, 0}}}, {1, {{0, 0}, {3, 0}}}, {2, {{2, 0}, {0, 0}}}, {3, {{0, 4}, {2, 6}}}};
    auto unfit = answers;
    unfit[3].choices[0].points = 5;
    const auto voter = [&](int number) { return voter_in({0}, poll_.id, number); };
    write({0},
          {writer_.ballot(poll_.id, voter(0), answers), writer_.open(poll_),
           writer_.ballot(poll_.id, voter(1), answers), writer_.ballot(poll_.id, voter(1), answers),
           writer_.ballot(poll_.id, voter(2), answers, "75800000"),
           writer_.ballot(poll_.id, voter(3), unfit), "not a record of ours",
           writer_.close(poll_.id.view()), writer_.ballot(poll_.id, voter(4), answers),
           writer_.ballot(poll_.id, voter(2), answers, "75800000")});
  }

  RecountReport recount() {
    const auto log = storage::EmbeddedLogReader::open(folder_ / "data/log").value();
    const auto index = storage::IndexStore::open_read_only(folder_ / "data/index").value();
    return recount_index(*log, *index).value();
  }
  int exit_of_command() {
    CLI::App app("", "veche");
    app.require_subcommand(1);
    add_recount(app);
    const auto data = (folder_ / "data").string();
    const char* arguments[] = {"veche", "recount", "--data", data.c_str(), "--json"};
    return run_program(app, 5, arguments);
  }

  storage::TempFolder folder_;
  samples::Writer writer_;
  const model::PollDefinition poll_ = samples::poll_of_all_kinds();
};

TEST_F(RecountTest, IsEqualToWhatANodeCounts) {
  write_every_fate();
  make_index();
  const auto report = recount();
  EXPECT_THAT(report.whole().differences, IsEmpty());
  EXPECT_GT(report.whole().compared, 20u);
  const auto& recount = report.polls.at(poll_.id).recount;
  EXPECT_EQ(recount.ballots(), 7u);
  EXPECT_EQ(recount.before_open, 1u);
  EXPECT_EQ(recount.counted, 2u);
  EXPECT_EQ(recount.duplicates, 2u);
  EXPECT_EQ(recount.invalid, 1u);
  EXPECT_EQ(recount.behind_close, 1u);
  EXPECT_EQ(exit_of_command(), 0);
}

TEST_F(RecountTest, CountsVotesAndPointsByTerritory) {
  write_every_fate();
  make_index();
  const auto report = recount();
  const auto& territories = report.polls.at(poll_.id).recount.territories;
  ASSERT_EQ(territories.size(), 2u);
  const auto& there = territories.at(samples::territory("75800000"));
  EXPECT_EQ(there.ballots, 1u);
  EXPECT_EQ(there.questions[0][1].votes, 1u);
  EXPECT_EQ(there.questions[1][3].votes, 1u);
  EXPECT_EQ(there.questions[2][2].points, 3u);  // the first of the ranking
  EXPECT_EQ(there.questions[2][0].points, 2u);
  EXPECT_EQ(there.questions[3][2].points, 6u);
}

TEST_F(RecountTest, FindsWhatIsWrongWithAnIndex) {
  struct Row {
    const char* what;
    Tamper tamper;
    const char* told;
  };
  const Row rows[] = {
      {"a voter more",
       [](auto& index, auto&) {
         index.insert({0}, {0}, samples::voter(999), {{1}, {}});
       },
       "voters in the index"},
      {"another number in the last row of the tally",
       [](auto&, Images& images) { ++images[0].polls[0].bytes.end()[-4 * 8]; }, "spread/c"},
      {"another number in the last hour",
       [](auto&, Images& images) { ++images[0].polls[0].bytes.end()[-8]; }, "ballots in hour"},
      {"another rolling hash", [](auto&, Images& images) { images[0].position.hash.bytes[0] ^= 1; },
       "rolling hash"},
      {"a duplicate too many", [](auto&, Images& images) { ++images[0].duplicates; }, "duplicates"},
      {"the poll is missing", [](auto&, Images& images) { images[0].polls.clear(); }, "polls"},
      {"a position behind the end of the log",
       [](auto&, Images& images) { images[1].position.next.value += 5; }, "the log was cut"}};
  write_every_fate();
  for (const auto& row : rows) {
    make_index(row.tamper);
    EXPECT_THAT(recount().whole().differences, ElementsAre(HasSubstr(row.told))) << row.what;
    EXPECT_EQ(exit_of_command(), 1) << row.what;
    std::filesystem::remove_all(folder_ / "data/index");
  }
}

TEST_F(RecountTest, ComparesWhereTheIndexStandsAndReadsOn) {
  write_every_fate();
  make_index();
  const auto other = samples::poll_of_one_question("other");
  write({1},
        {writer_.open(other), writer_.ballot(other.id, voter_in({1}, other.id, 0), choose(2))});
  const auto report = recount();
  EXPECT_THAT(report.whole().differences, IsEmpty());
  EXPECT_LT(report.partitions[1].compared_at, report.partitions[1].log_end);
  EXPECT_EQ(report.polls.at(other.id).recount.counted, 1u);
}

TEST_F(RecountTest, FindsABallotInAPartitionThatIsNotItsOwn) {
  write({0},
        {writer_.open(poll_), writer_.ballot(poll_.id, voter_in({1}, poll_.id, 0), choose(0))});
  make_index();
  EXPECT_THAT(recount().whole().differences, ElementsAre(HasSubstr("belong into another")));
}

TEST_F(RecountTest, DoesNotGuessWhatARecordOfTheFutureMeans) {
  write({0}, {samples::record_of_the_future()});
  const auto log = storage::EmbeddedLogReader::open(folder_ / "data/log").value();
  const auto index = storage::IndexStore::open(folder_ / "data/index", log->id()).value();
  const auto report = recount_index(*log, *index);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("partition 0, offset 1"));
}

// Results as a server would show them: two ballots of the three, one of them in a district.
class RecountLiveTest : public RecountTest {
 protected:
  RecountLiveTest() {
    const auto voter = [&](int number) { return voter_in({0}, one_.id, number); };
    write({0}, {writer_.open(one_), writer_.ballot(one_.id, voter(0), choose(0), "75701000"),
                writer_.ballot(one_.id, voter(1), choose(2), "75800000"),
                writer_.ballot(one_.id, voter(2), choose(2), "75800000")});
  }
  static boost::json::value counts(const char* code, const char* parent, int ballots, int a,
                                   int c) {
    const auto option = [](const char* id, int votes) {
      return boost::json::object{{"id", id}, {"votes", votes}};
    };
    boost::json::array options{option("a", a), option("b", 0), option("c", c)};
    boost::json::array questions{boost::json::object{{"id", "one"}, {"options", options}}};
    boost::json::value shown_parent = parent ? boost::json::value(parent) : boost::json::value();
    return {
        {"code", code}, {"parent", shown_parent}, {"ballots", ballots}, {"questions", questions}};
  }
  static boost::json::object shown() {
    auto results = counts("", nullptr, 2, 1, 1).as_object();
    results["final"] = false;
    results["partition_ballots"] = boost::json::array{2, 0};
    results["territories"] = boost::json::array{
        counts("75000000", nullptr, 2, 1, 1), counts("75700000", "75000000", 1, 1, 0),
        counts("75701000", "75700000", 1, 1, 0), counts("75800000", "75000000", 1, 0, 1)};
    return results;
  }
  Comparison compare(boost::json::object results) {
    const auto log = storage::EmbeddedLogReader::open(folder_ / "data/log").value();
    return recount_results(*log, {{one_.id, std::move(results)}}).value().whole();
  }
  const model::PollDefinition one_ = samples::poll_of_one_question("one-question");
};

TEST_F(RecountLiveTest, IsEqualToTheResultsAsFarAsTheyGo) {
  const auto comparison = compare(shown());
  EXPECT_THAT(comparison.differences, IsEmpty());
  EXPECT_GE(comparison.compared, 5u * 4u);
}

TEST_F(RecountLiveTest, FindsResultsThatCountAnotherPartOfTheLogThanTheySay) {
  auto results = shown();
  results["partition_ballots"] = boost::json::array{3, 0};
  EXPECT_THAT(compare(results).differences, testing::Contains(HasSubstr("75800000 ballots: 2")));
}

TEST_F(RecountLiveTest, FindsResultsThatCoverMoreThanThereIs) {
  auto results = shown();
  results["partition_ballots"] = boost::json::array{2, 1};
  EXPECT_THAT(compare(results).differences,
              ElementsAre(HasSubstr("one-question, ballots in partition 1: 0")));
}

TEST_F(RecountLiveTest, FindsOneWrongNumberInOneTerritory) {
  auto results = shown();
  results["territories"].at(1).at("questions").at(0).at("options").at(1).as_object()["votes"] = 1;
  EXPECT_THAT(compare(results).differences, ElementsAre(HasSubstr("75700000 one/b")));
}

}  // namespace
}  // namespace veche::tools
