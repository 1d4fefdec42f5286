#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include "ingest/auth/issuer.h"
#include "tools/veche/command.h"
#include "tools/veche/output.h"

namespace veche::tools {
namespace {

struct KeygenOptions {
  std::string directory;
  std::string algorithm = "eddsa";
  std::string issuer = "https://id.example";
  std::string audience = "veche";
};

constexpr std::array<std::pair<const char*, auth::Algorithm>, 4> kAlgorithms{{
    {"eddsa", auth::Algorithm::kEdDsa},
    {"hs256", auth::Algorithm::kHs256},
    {"rs256", auth::Algorithm::kRs256},
    {"ps256", auth::Algorithm::kPs256},
}};

std::vector<std::string> algorithm_names() {
  std::vector<std::string> names;
  for (const auto& [name, algorithm] : kAlgorithms) names.emplace_back(name);
  return names;
}

Result<Exit> keygen(const KeygenOptions& options) {
  auto algorithm = auth::Algorithm::kEdDsa;
  for (const auto& [name, value] : kAlgorithms)
    if (name == options.algorithm) algorithm = value;
  const auto done =
      auth::Issuer::generate(options.directory, algorithm, options.issuer, options.audience);
  if (!done) return done.error();
  const std::filesystem::path directory(options.directory);
  print(
      "{}  signs tokens; for tests, demonstrations and load\n"
      "{}  for `veche serve --jwks`\n"
      "{}  for `veche serve --voter-secret`; the ballots of a log are lost without it\n",
      (directory / "issuer.json").string(), (directory / "jwks.json").string(),
      (directory / "voter.secret").string());
  return Exit::ok;
}

}  // namespace

void add_keygen(CLI::App& app) {
  auto& command =
      add_command(app, "keygen", "Make signing keys, their public side and a voter secret",
                  {"veche keygen --out keys", "veche keygen --out keys --alg hs256"});
  const auto options = std::make_shared<KeygenOptions>();
  command.add_option("--out", options->directory, "Directory for the three files")
      ->required()
      ->type_name("DIR");
  command.add_option("--alg", options->algorithm, "How tokens are signed")
      ->capture_default_str()
      ->type_name("NAME")
      ->check(CLI::IsMember(algorithm_names(), CLI::ignore_case));
  command.add_option("--issuer", options->issuer, "The claim iss")->capture_default_str();
  command.add_option("--audience", options->audience, "The claim aud")->capture_default_str();
  on_run(command, [options] { return keygen(*options); });
}

}  // namespace veche::tools
