// The one program of Veche: a node, and every tool around it.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "tools/veche/command.h"
#include "tools/veche/output.h"
#include "tools/veche/process.h"

int main(int argc, char** argv) {
  using namespace veche::tools;
  open_standard_streams();
  keep_memory_private();
  CLI::App app("Veche counts the ballots of regional polls, each voter once.", "veche");
  app.set_version_flag("--version", "veche " VECHE_VERSION);
  app.require_subcommand(1);
  app.footer("Run `veche COMMAND --help` for the options and examples of a command.");
  add_demo(app);
  add_serve(app);
  add_keygen(app);
  add_token(app);
  add_poll(app);
  add_ballot(app);
  add_results(app);
  add_watch(app);
  add_replay(app);
  add_bench(app);
  add_recount(app);
  add_topic(app);
  add_doctor(app);
  return finish_output(run_program(app, argc, argv));
}
