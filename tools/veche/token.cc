#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "engine/model/limits.h"
#include "ingest/auth/base64url.h"
#include "ingest/auth/digest.h"
#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/input.h"
#include "tools/veche/output.h"

namespace veche::tools {
namespace {

using namespace std::chrono_literals;

// Ids in "a,b", once or again and again. Nothing between two commas is no id, or "," would be a
// list without any, and a token for nowhere one for everywhere.
template <class Id>
Result<std::vector<Id>> read_list(std::string_view option, const std::vector<std::string>& given) {
  std::vector<Id> ids;
  for (std::string_view rest : given) {
    for (bool is_last = false; !is_last;) {
      const auto item = rest.substr(0, rest.find(','));
      is_last = item.size() == rest.size();
      rest.remove_prefix(std::min(item.size() + 1, rest.size()));
      const auto id = Id::parse(item);
      if (!id) return Fault{fmt::format("{}: '{}' is no code", option, item)};
      ids.push_back(*id);
    }
  }
  return ids;
}

// --- vote --------------------------------------------------------------------------------------

struct VoteOptions {
  std::string keys;
  std::string poll;
  std::string sub;
  std::string voter;
  std::string territory;
  std::vector<std::string> addresses;
  std::uint32_t level = limits::kMaxLevel;
  std::int64_t lifetime_seconds = std::chrono::seconds(limits::kTokenLifetime).count();
};

Result<auth::Bytes32> pseudonym_of(const VoteOptions& options, const model::PollId& poll) {
  if (options.sub.empty()) return sub_of(poll, options.voter);
  const auto sub = auth::base64url_decode_exactly<32>(options.sub);
  if (!sub) return Fault{"--sub is 43 characters of base64url, for 32 bytes; or give --voter"};
  return *sub;
}

Result<Exit> mint_vote(const VoteOptions& options) {
  auto issuer = auth::Issuer::load(options.keys);
  if (!issuer) return issuer.error();
  const auto poll = model::PollId::parse(options.poll);
  if (!poll) return Fault{"--poll is 1 to 64 of a-z, 0-9 and -"};
  const auto territory = model::TerritoryCode::parse(options.territory);
  if (!territory) return Fault{"--territory is 1 to 32 of 0-9, A-Z, a-z and -"};
  if (options.sub.empty() == options.voter.empty()) return Fault{"give one of --sub and --voter"};
  const auto sub = pseudonym_of(options, *poll);
  if (!sub) return sub.error();
  auth::VoteClaims claims{*poll, *sub, *territory, {}, static_cast<std::uint8_t>(options.level)};
  const auto addresses = read_list<model::AddressCode>("--addr", options.addresses);
  if (!addresses) return addresses.error();
  if (addresses->size() > claims.addrs.capacity())
    return Fault{fmt::format("a token holds at most {} addresses", claims.addrs.capacity())};
  claims.addrs.assign(addresses->begin(), addresses->end());
  print("{}\n", issuer->mint_vote(claims, now_seconds(), 1s * options.lifetime_seconds));
  return Exit::ok;
}

// --- batch -------------------------------------------------------------------------------------

struct BatchOptions {
  std::string keys;
  std::string body;
  std::int64_t lifetime_seconds = std::chrono::seconds(limits::kTokenLifetime).count();
};

Result<Exit> mint_batch(const BatchOptions& options) {
  auto issuer = auth::Issuer::load(options.keys);
  if (!issuer) return issuer.error();
  const auto body = read_input(options.body);
  if (!body) return body.error();
  print("{}\n", issuer->mint_batch(auth::sha256(*body), count_lines(*body), now_seconds(),
                                   1s * options.lifetime_seconds));
  return Exit::ok;
}

// --- staff -------------------------------------------------------------------------------------

struct StaffOptions {
  std::string keys;
  std::string sub;
  std::vector<std::string> roles;
  std::vector<std::string> territories;
  std::int64_t lifetime_seconds = std::chrono::seconds(1h).count();
};

Result<Exit> mint_staff(const StaffOptions& options) {
  auto issuer = auth::Issuer::load(options.keys);
  if (!issuer) return issuer.error();
  auth::StaffClaims claims{options.sub, {}, {}};
  for (const auto& name : options.roles) {
    const auto known = std::find_if(std::begin(auth::kRoles), std::end(auth::kRoles),
                                    [&](const auto& role) { return role.name == name; });
    if (known == std::end(auth::kRoles)) return Fault{fmt::format("there is no role '{}'", name)};
    claims.roles.add(known->role);
  }
  auto territories = read_list<model::TerritoryCode>("--territories", options.territories);
  if (!territories) return territories.error();
  if (!territories->empty())
    claims.territories = auth::Limit<model::TerritoryCode>::to(*std::move(territories));
  const auto token = issuer->mint_staff(claims, now_seconds(), 1s * options.lifetime_seconds);
  if (!token) return token.error();
  print("{}\n", *token);
  return Exit::ok;
}

// --- Options -----------------------------------------------------------------------------------

template <class Options>
void add_common(CLI::App& command, Options& options) {
  command.add_option("--keys", options.keys, "issuer.json of `veche keygen`")
      ->required()
      ->type_name("FILE");
  command.add_option("--lifetime", options.lifetime_seconds, "Seconds until the token expires")
      ->capture_default_str();
}

void add_vote(CLI::App& token) {
  auto& command = add_command(token, "vote", "A voter's token for one poll",
                              {"veche token vote --keys keys/issuer.json --poll smolino --voter "
                               "anna --territory 75701310"});
  const auto options = std::make_shared<VoteOptions>();
  add_common(command, *options);
  command.add_option("--poll", options->poll, "Poll id")->required()->type_name("ID");
  command.add_option("--sub", options->sub, "The voter's pseudonym for this poll, 43 characters");
  command.add_option("--voter", options->voter, "Any name of the voter, to make a pseudonym of");
  command.add_option("--territory", options->territory, "Where the voter is registered")
      ->required()
      ->type_name("CODE");
  command.add_option("--addr", options->addresses, "Finer address codes of the voter")
      ->type_name("CODE,...");
  command.add_option("--level", options->level, "1 simplified, 2 standard, 3 confirmed")
      ->capture_default_str()
      ->check(CLI::Range(limits::kMinLevel, limits::kMaxLevel));
  on_run(command, [options] { return mint_vote(*options); });
}

void add_batch(CLI::App& token) {
  auto& command = add_command(token, "batch", "A gateway's token for one body of ballots",
                              {"veche token batch --keys keys/issuer.json --body ballots.ndjson"});
  const auto options = std::make_shared<BatchOptions>();
  add_common(command, *options);
  command.add_option("--body", options->body, "The body before compression; - for stdin")
      ->required()
      ->type_name("FILE");
  on_run(command, [options] { return mint_batch(*options); });
}

void add_staff(CLI::App& token) {
  auto& command = add_command(
      token, "staff", "A token for staff",
      {"veche token staff --keys keys/issuer.json --sub olga --roles moderator,approver"});
  const auto options = std::make_shared<StaffOptions>();
  add_common(command, *options);
  command.add_option("--sub", options->sub, "A pseudonym, as records will tell it")->required();
  command
      .add_option("--roles", options->roles,
                  "Of moderator, approver, operator, certifier, analyst, auditor")
      ->required()
      ->delimiter(',')
      ->type_name("ROLE,...");
  command
      .add_option("--territories", options->territories, "Where they hold; left out: everywhere")
      ->type_name("CODE,...");
  on_run(command, [options] { return mint_staff(*options); });
}

}  // namespace

void add_token(CLI::App& app) {
  auto& command = add_command(app, "token", "Sign a token, as an identity side or a gateway would");
  command.require_subcommand(1);
  add_vote(command);
  add_batch(command);
  add_staff(command);
}

}  // namespace veche::tools
