// Reads real ballots of participatory budgets: the .pb format of pabulib.org. A file is one poll
// with one question; its projects are the options.
//
// The format is three tables of `;`-separated values, META, PROJECTS and VOTES, each under its
// title and a row of column names. Columns come in any order, and unknown ones are passed over.
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
};

struct PabulibFile {
  std::map<std::string, std::string, std::less<>> meta;
  VoteType vote_type = VoteType::choose_one;
  std::uint32_t min = 1;  // choices, positions or points in all, as in model::Question; every
  std::uint32_t max = 1;  // vote keeps to it. Scoring sets no sum: the largest one that was given
  std::vector<std::uint32_t> position_points;  // ordinal alone: for each of `max` positions
  std::vector<PabulibProject> projects;
  std::vector<PabulibVote> votes;

  // Empty where META does not have the key.
  std::string_view meta_value(std::string_view key) const;
};

// Ordinal votes bring the points that the file's column `points` gives to a position; a position
// for which it gives none brings `max` points if it is the first, one fewer if it is the second.
// Projects listed with 0 points are dropped from a vote.
//
// A fault names the line and what is wrong: a table, key or column that is missing, rows that are
// not as wide as their header, ids twice or unknown, votes outside the limits that META sets,
// fewer or more votes than META promises, and what Veche cannot count: scores that are negative,
// broken or given by default, and ordinal points that do not go by position.
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
