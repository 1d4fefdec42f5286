#include "tools/veche/options.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace veche::tools {
namespace {

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (value) setenv(name, value, 1);
  }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

// A program with the kinds of options that commands have.
class Program {
 public:
  Program() : app_("", "veche") {
    app_.require_subcommand(1);
    auto* serve = app_.add_subcommand("serve")->fallthrough();
    serve->add_option("--listen", listen);
    serve->add_option("--access-log", access_log);
    serve->add_option("--threads", threads)->check(CLI::Range(1, 64));
    serve->add_option("--needed", needed);
    serve->add_option("--addr", addresses);
    serve->add_flag("--json", json);
    auto* poll = app_.add_subcommand("poll")->fallthrough();
    poll->add_subcommand("create")->fallthrough()->add_option("--server", server);
    layer_options(app_);
  }

  // What the program says that is wrong; empty: nothing.
  std::string run(std::vector<std::string> arguments) {
    std::vector<const char*> pointers{"veche"};
    for (const auto& argument : arguments) pointers.push_back(argument.c_str());
    try {
      app_.parse(static_cast<int>(pointers.size()), pointers.data());
    } catch (const CLI::ParseError& error) {
      return error.get_name() + ": " + error.what();
    }
    return {};
  }
  void require_needed() { app_.get_subcommand("serve")->get_option("--needed")->required(); }

  std::string listen = "default", access_log, needed, server;
  int threads = 1;
  bool json = false;
  std::vector<std::string> addresses;

 private:
  CLI::App app_;
};

class Options : public testing::Test {
 protected:
  std::string file(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  ~Options() override { std::filesystem::remove(path_); }

 private:
  const std::string path_ = testing::TempDir() + "veche_options_" +
                            testing::UnitTest::GetInstance()->current_test_info()->name() + ".toml";
};

TEST_F(Options, TheStrongerSourceWins) {
  struct Row {
    bool flag;
    const char* variable;
    bool in_file;
    const char* expected;
  };
  constexpr Row kRows[] = {
      {false, nullptr, false, "default"},
      {false, nullptr, true, "file"},
      {false, "variable", false, "variable"},
      {false, "variable", true, "variable"},
      {false, "", false, "default"},
      {false, "", true, "file"},
      {true, nullptr, false, "flag"},
      {true, nullptr, true, "flag"},
      {true, "variable", false, "flag"},
      {true, "variable", true, "flag"},
      {true, "", true, "flag"},
  };
  for (const auto& row : kRows) {
    const Variable variable("VECHE_LISTEN", row.variable);
    std::vector<std::string> arguments{"serve"};
    if (row.flag) arguments.insert(arguments.end(), {"--listen", "flag"});
    if (row.in_file)
      arguments.insert(arguments.end(), {"--config", file("[serve]\nlisten = 'file'\n")});
    Program program;
    EXPECT_EQ(program.run(arguments), "");
    EXPECT_EQ(program.listen, row.expected)
        << "flag " << row.flag << ", variable " << (row.variable ? row.variable : "none")
        << ", file " << row.in_file;
  }
}

TEST_F(Options, AFlagOfTheEnvironmentOrTheFileCounts) {
  for (const bool in_file : {false, true}) {
    const Variable variable("VECHE_JSON", in_file ? nullptr : "true");
    Program program;
    EXPECT_EQ(program.run({"serve", "--config", file(in_file ? "[serve]\njson = true" : "")}), "");
    EXPECT_TRUE(program.json);
  }
}

TEST_F(Options, TheEnvironmentCanTakeAFlagOfTheFileBack) {
  const Variable variable("VECHE_JSON", "false");
  Program program;
  EXPECT_EQ(program.run({"serve", "--config", file("[serve]\njson = true")}), "");
  EXPECT_FALSE(program.json);
}

TEST_F(Options, TheFileReachesEveryKindOfOption) {
  Program program;
  const auto path = file(
      "[serve]\naccess-log = 'a.log'\nthreads = 7\naddr = ['a', 'b']\njson = true\n"
      "[poll.create]\nserver = 'http://s:1'\n");
  EXPECT_EQ(program.run({"serve", "--config", path}), "");
  EXPECT_EQ(program.access_log, "a.log");
  EXPECT_EQ(program.threads, 7);
  EXPECT_EQ(program.addresses, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(program.json);
  EXPECT_EQ(program.server, "http://s:1");
}

TEST_F(Options, TheFileSatisfiesWhatIsRequired) {
  for (const bool is_there : {true, false}) {
    Program program;
    program.require_needed();
    const auto path = file(is_there ? "[serve]\nneeded = 'x'" : "[serve]");
    EXPECT_EQ(program.run({"serve", "--config", path}).empty(), is_there);
  }
}

TEST_F(Options, TheFileMayBeNamedByAVariable) {
  const auto path = file("[serve]\nlisten = 'file'");
  const Variable variable("VECHE_CONFIG", path.c_str());
  Program program;
  EXPECT_EQ(program.run({"serve"}), "");
  EXPECT_EQ(program.listen, "file");
}

TEST_F(Options, AFileThatIsNotThereIsRefused) {
  for (const bool by_variable : {true, false}) {
    const Variable variable("VECHE_CONFIG", by_variable ? "/no/such.toml" : nullptr);
    Program program;
    const auto said =
        by_variable ? program.run({"serve"}) : program.run({"serve", "--config", "/no/such.toml"});
    EXPECT_NE(said.find("/no/such.toml"), std::string::npos) << said;
  }
}

TEST_F(Options, WhatTheFileSaysWronglyIsRefusedWithItsLine) {
  struct Row {
    const char* text;
    const char* said;
  };
  constexpr Row kRows[] = {
      {"[serve]\n\nlisen = 'a'", "line 3: there is no option 'serve.lisen'"},
      {"[serv]\nlisten = 'a'", "line 1: there is no command 'serv'"},
      {"listen = 'a'", "line 1: there is no option 'listen'"},
      {"[serve]\nconfig = 'a'", "line 2: there is no option 'serve.config'"},
      {"[serve]\nhelp = true", "line 2: there is no option 'serve.help'"},
      {"[serve]\naccess_log = 'a'", "line 2: there is no option 'serve.access_log'"},
      {"[serve]\nlisten = 1", "line 2: '--listen' needs a text in quotes"},
      {"[serve]\nlisten = ['a']", "line 2: '--listen' needs a text in quotes"},
      {"[serve]\naddr = []", "line 2: '--addr' is an empty list: leave it out"},
      {"[serve]\nthreads = 'many'", "line 2: '--threads' needs a number"},
      {"[serve]\nthreads = 0", "line 2: --threads"},
      {"[serve]\nthreads = 1.5", "line 2: "},
      {"[serve]\njson = 1", "line 2: '--json' needs true or false"},
      {"[serve]\naddr = ['a', 2]", "line 2: '--addr' needs a text in quotes"},
      {"[serve]\nlisten = 'a'\nlisten = 'b'", "line 3: "},
      {"[serve]\nlisten = ", "line 2: "},
  };
  for (const auto& row : kRows) {
    Program program;
    const auto said = program.run({"serve", "--config", file(row.text)});
    EXPECT_NE(said.find(row.said), std::string::npos) << row.text << "\nsaid: " << said;
  }
}

TEST_F(Options, AWrongTypeIsRefusedEvenWhereAStrongerSourceDecides) {
  Program program;
  const auto said =
      program.run({"serve", "--listen", "flag", "--config", file("[serve]\nlisten = 1")});
  EXPECT_NE(said.find("line 2"), std::string::npos) << said;
}

TEST_F(Options, HelpIsGivenInSpiteOfABrokenFile) {
  Program program;
  const auto said = program.run({"serve", "--help", "--config", file("nonsense")});
  EXPECT_NE(said.find("CallForHelp"), std::string::npos) << said;
}

}  // namespace
}  // namespace veche::tools
