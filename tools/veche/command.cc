#include "tools/veche/command.h"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <exception>
#include <sstream>
#include <utility>

#include "tools/veche/options.h"
#include "tools/veche/output.h"

namespace veche::tools {
namespace {

// "veche poll draft"
std::string full_name(const CLI::App* command) {
  const auto* parent = command->get_parent();
  return parent ? full_name(parent) + " " + command->get_name() : command->get_name();
}

// Boost.JSON throws where a server's answer lacks what every answer of this version has.
Result<Exit> contained(const std::function<Result<Exit>()>& action) {
  try {
    return action();
  } catch (const std::exception& error) {
    return Fault{
        fmt::format("{}; is the server of this version ({})?", error.what(), VECHE_VERSION)};
  }
}

const CLI::App* chosen(const CLI::App* app) {
  const auto chosen_below = app->get_subcommands();
  return chosen_below.empty() ? app : chosen(chosen_below.front());
}

}  // namespace

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& summary,
                      const std::vector<std::string>& examples) {
  auto& command = *parent.add_subcommand(name, summary);
  command.fallthrough();  // so that --config may stand anywhere
  if (!examples.empty())
    command.footer(fmt::format("Examples:\n  {}", fmt::join(examples, "\n  ")));
  return command;
}

void on_run(CLI::App& command, std::function<Result<Exit>()> action) {
  command.callback([&command, action = std::move(action)] {
    const auto exit = contained(action);
    // Work that was given up since nobody reads its result has not failed.
    if (!exit && !is_reader_gone()) tell("{}: {}\n", full_name(&command), exit.error().message);
    throw CLI::RuntimeError(static_cast<int>(exit ? *exit : Exit::failed));
  });
}

int run_program(CLI::App& app, int argc, const char* const* argv) {
  layer_options(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& done) {
    return done.get_exit_code();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      std::ostringstream text;
      app.exit(error, text, text);
      write_text(stdout, text.str());
      return static_cast<int>(Exit::ok);
    }
    const auto name = full_name(chosen(&app));
    tell("{}: {}\nRun `{} --help` for its options and examples.\n", name, error.what(), name);
    return static_cast<int>(Exit::usage);
  }
  return static_cast<int>(Exit::ok);
}

}  // namespace veche::tools
