// How a command of `veche` is made: a file of its own with one function that main.cc calls,
//
//   void add_keygen(CLI::App& app) {
//     auto& command = add_command(app, "keygen", "Make the keys of ...", {"veche keygen --out k"});
//     const auto options = std::make_shared<Options>();
//     command.add_option("--out", options->out, "Directory for the files")->required();
//     on_run(command, [options] { return keygen(*options); });
//   }
//
// Options have long names in kebab-case. Each may also come from the environment and from the TOML
// file without a further line (options.h); therefore the type name of a number stays as CLI11 gives
// it, and words that are required are options rather than positionals unless they name the input.
//
// The result goes to stdout, and with --json it is one JSON document for machines; everything else
// goes to stderr (output.h). A command that cannot do its work returns a Fault that says what to do
// about it. Secrets are no options, which everybody on the machine can read: they come from files.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

#include "engine/model/result.h"

namespace veche::tools {

enum class Exit {
  ok = 0,
  failed = 1,         // not done, not printed, or the result is a "no": a difference, a refusal
  usage = 2,          // the command line, the environment or the file of options is wrong
  interrupted = 130,  // ended by Ctrl-C or SIGTERM, where nothing else ends it: as shells tell it
};

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& summary,
                      const std::vector<std::string>& examples = {});

// Runs `action` when the command is chosen. A Fault is told on stderr and is Exit::failed.
void on_run(CLI::App& command, std::function<Result<Exit>()> action);

// Parses, runs the chosen command, and returns what main returns.
int run_program(CLI::App& app, int argc, const char* const* argv);

void add_ballot(CLI::App& app);
void add_bench(CLI::App& app);
void add_demo(CLI::App& app);
void add_doctor(CLI::App& app);
void add_keygen(CLI::App& app);
void add_poll(CLI::App& app);
void add_recount(CLI::App& app);
void add_replay(CLI::App& app);
void add_results(CLI::App& app);
void add_serve(CLI::App& app);
void add_token(CLI::App& app);
void add_topic(CLI::App& app);
void add_watch(CLI::App& app);

}  // namespace veche::tools
