// What a token, a voter key, a receipt and a digest cost on one core. Every answer is proven before
// it is timed.
//
//   veche_micro --benchmark_filter='verify|mint|voter|receipt|digest'
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "ingest/auth/digest.h"
#include "ingest/auth/issuer.h"
#include "ingest/auth/verifier.h"
#include "ingest/auth/voter.h"

namespace {

using namespace std::chrono_literals;
using namespace veche;
using namespace veche::auth;

constexpr std::chrono::sys_seconds kNow{1'800'000'000s};

void prove(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "the answer is wrong, so there is nothing to time: %s\n", what);
  std::abort();
}

// Both sides of one algorithm, as keygen makes them.
struct Sides {
  explicit Sides(Algorithm algorithm) : issuer(make(algorithm)), verifier(read_keys()) {
    std::filesystem::remove_all(directory);
  }

  Issuer make(Algorithm algorithm) {
    std::string pattern = (std::filesystem::temp_directory_path() / "veche-bench-XXXXXX").string();
    prove(::mkdtemp(pattern.data()) != nullptr, "a temporary directory");
    directory = pattern;
    prove(Issuer::generate(directory, algorithm, "https://id.example", "veche").has_value(),
          "keygen");
    return std::move(Issuer::load(directory / "issuer.json").value());
  }
  Verifier read_keys() const {
    auto keys = KeySet::load(directory / "jwks.json");
    return Verifier(std::make_shared<const KeySet>(std::move(keys.value())));
  }

  std::filesystem::path directory;
  Issuer issuer;
  Verifier verifier;
};

VoteClaims vote_of(std::uint8_t voter) {
  VoteClaims claims;
  claims.poll = *model::PollId::parse("smolino");
  claims.sub.fill(voter);
  claims.territory = *model::TerritoryCode::parse("75701310");
  claims.level = 3;
  return claims;
}

void verify_vote(benchmark::State& state, Algorithm algorithm) {
  Sides sides(algorithm);
  const VoteClaims wanted = vote_of(7);
  const std::string token = sides.issuer.mint_vote(wanted, kNow, 600s);
  const auto claims = sides.verifier.verify_vote(token, kNow);
  prove(claims && claims->sub == wanted.sub && claims->poll == wanted.poll, "a good token");
  std::string forged = token;
  forged[token.rfind('.') + 1] ^= 1;
  prove(!sides.verifier.verify_vote(forged, kNow), "a forged token");

  for (auto _ : state) benchmark::DoNotOptimize(sides.verifier.verify_vote(token, kNow));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(verify_vote, HS256, Algorithm::kHs256);
BENCHMARK_CAPTURE(verify_vote, RS256, Algorithm::kRs256);
BENCHMARK_CAPTURE(verify_vote, PS256, Algorithm::kPs256);
BENCHMARK_CAPTURE(verify_vote, EdDSA, Algorithm::kEdDsa);

void mint_vote(benchmark::State& state, Algorithm algorithm) {
  Sides sides(algorithm);
  VoteClaims claims = vote_of(0);
  prove(sides.verifier.verify_vote(sides.issuer.mint_vote(claims, kNow, 600s), kNow).has_value(),
        "a minted token");
  for (auto _ : state) {
    ++claims.sub[0];
    benchmark::DoNotOptimize(sides.issuer.mint_vote(claims, kNow, 600s));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(mint_vote, HS256, Algorithm::kHs256);
BENCHMARK_CAPTURE(mint_vote, EdDSA, Algorithm::kEdDsa);

PollSecret poll_secret() {
  VoterSecret::Raw raw;
  for (std::size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<std::uint8_t>(i);
  return VoterSecret(raw).for_poll(*model::PollId::parse("smolino"));
}

void voter_key(benchmark::State& state) {
  PollSecret secret = poll_secret();
  Bytes32 sub{};
  const auto first = secret.voter_key(sub);
  prove(first == secret.voter_key(sub), "the same voter");
  sub[0] = 1;
  prove(first != secret.voter_key(sub), "another voter");
  for (auto _ : state) {
    ++sub[0];
    benchmark::DoNotOptimize(secret.voter_key(sub));
  }
}
BENCHMARK(voter_key);

void receipt_make(benchmark::State& state) {
  PollSecret secret = poll_secret();
  prove(secret.receipt({0}, {0}) == "0JZ7G-1RB8S-4M7MB-744NZ-H4PC5X", "the known receipt");
  std::uint64_t offset = 0;
  for (auto _ : state) benchmark::DoNotOptimize(secret.receipt({3}, {++offset}));
}
BENCHMARK(receipt_make);

void receipt_open(benchmark::State& state) {
  PollSecret secret = poll_secret();
  const std::string receipt = secret.receipt({3}, {123'456'789});
  const auto place = secret.open_receipt(receipt);
  prove(place && place->second.value == 123'456'789, "an opened receipt");
  for (auto _ : state) benchmark::DoNotOptimize(secret.open_receipt(receipt));
}
BENCHMARK(receipt_open);

void digest_of_answers(benchmark::State& state) {
  const auto poll = *model::PollId::parse("smolino");
  const std::string answers(static_cast<std::size_t>(state.range(0)), 'a');
  prove(digest_of(poll, answers) == digest_of(poll, answers), "the same answers");
  prove(digest_of(poll, answers) != digest_of(poll, answers + "b"), "other answers");
  for (auto _ : state) benchmark::DoNotOptimize(digest_of(poll, answers));
}
BENCHMARK(digest_of_answers)->Arg(32)->Arg(512);

}  // namespace
