// Reads real ballots of participatory budgets: the .pb format of pabulib.org. A file is one poll
// with one question; its projects are the options.
//
// The format is three tables of `;`-separated values, META, PROJECTS and VOTES, each under its
// title and a row of column names. Columns come in any order, and unknown ones are passed over.
// Titles, column names and keys may be in capitals; a table may be as wide as a spreadsheet made
// it. Quotes are read as Python's csv module reads them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/result.h"

namespace veche::tools {

enum class VoteType : std::uint8_t {
  choose_one,  // a single question
  approval,
  ordinal,     // ranked
  cumulative,  // points, a sum to spread
  scoring,     // points, a score for each project
};

struct PabulibProject {
  std::string id;
  std::string name;                    // the id where the file gives no name
  std::optional<std::uint64_t> votes;  // official number of voters
  std::optional<std::uint64_t> score;  // official sum of points
};

struct PabulibVote {
  std::string voter_id;
  std::vector<std::uint32_t> choices;  // places in PabulibFile::projects; ordinal: the best first
  std::vector<std::uint32_t> points;   // what each choice brings; empty where voters are counted
  std::string district;                // the column district, else neighborhood; empty: unknown
  bool in_neighborhood = false;        // `district` is the neighborhood, below a district
  std::vector<std::uint32_t> unpaid = {};  // projects named with 0 points; not among `choices`
};

// Something in a line that is not as META says, or that is not counted as it stands there.
struct PabulibNote {
  std::size_t line = 0;
  std::string text;
};

// What an official total has more (or, below 0, less) if it counted a line as it stands there.
struct PabulibDeviation {
  std::size_t line = 0;
  std::uint32_t project = 0;  // its place
  std::int64_t votes = 0;
  std::int64_t score = 0;
  std::string reason;  // "names it twice"
};

struct PabulibFile {
  std::map<std::string, std::string, std::less<>> meta;
  VoteType vote_type = VoteType::choose_one;
  // Choices, positions or points in all, as in model::Question: META's, or as far beyond as votes
  // go, so that every vote keeps to it.
  std::uint32_t min = 1;
  std::uint32_t max = 1;
  std::vector<std::uint32_t> position_points;  // ordinal alone: for each of `max` positions
  std::vector<PabulibProject> projects;
  std::vector<PabulibVote> votes;
  bool counts_unpaid = false;  // the official votes have voters who gave a project 0 points
  std::vector<PabulibNote> notes;
  std::vector<PabulibDeviation> deviations;
  // Why nobody can tell how the official scores came about; empty: they follow from the votes, or
  // they should.
  std::string scores_without_rule;

  // Empty where META does not have the key.
  std::string_view meta_value(std::string_view key) const;
};

// Ordinal votes bring the points that the file's column `points` gives to a position. Where it
// gives none, the first brings as many as max_length allows positions, the second one fewer;
// without a max_length as many as the longest vote has, or as there are projects, whichever gives
// the official scores.
//
// What was counted though it should not have been is read, and noted: a project named twice in a
// vote counts once, where it is named first; numbers of projects and points may be outside the
// limits that META sets. A vote without any project, where META's min_length is 0, and one that
// gives 0 points in all are left out of `votes`.
//
// A fault names the line and what is wrong: a table, key or column that is missing, rows that are
// not as wide as their header, ids twice or unknown, fewer or more votes than META promises, and
// what Veche cannot count: points that are negative, broken or given by default, and ordinal points
// that do not go by position.
Result<PabulibFile> parse_pabulib(std::string_view text);

// The same for a file, which may be compressed by gzip. A fault begins with the path.
Result<PabulibFile> read_pabulib(const std::filesystem::path& path);

// A poll id from the name of a file: Poland_Wroclaw_2020.pb.gz is poland-wroclaw-2020. Where the
// name is too long its end is replaced by a checksum of the whole.
model::PollId poll_id_of(const std::filesystem::path& path);

// The text without case, blanks around it and differences of Unicode form, for comparing names:
// BIEŻANÓW-PROKOCIM and Bieżanów-Prokocim are equal.
std::string fold(std::string_view text);

}  // namespace veche::tools
