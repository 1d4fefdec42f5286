#include "tools/veche/options.h"

#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <cstdlib>
#include <istream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Errors of toml++ as exceptions: CLI11 reports by exceptions too.
#include <toml++/toml.h>

namespace veche::tools {
namespace {

constexpr std::string_view kKafkaSection = "kafka";

storage::KafkaProperties
    kafka_section;  // filled while the options are read, before any thread starts

bool is_set(const std::string& variable) {
  const char* value = variable.empty() ? nullptr : std::getenv(variable.c_str());
  return value && *value != '\0';
}

std::string variable_of(std::string_view option) {
  std::string name = "VECHE_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

// What a TOML value must be for an option.
enum class Type { flag, number, text };

Type type_of(const CLI::Option& option) {
  if (option.get_expected_min() == 0) return Type::flag;
  const auto name = option.get_type_name();
  const auto begins = [&](std::string_view type) { return name.starts_with(type); };
  return begins("INT") || begins("UINT") || begins("FLOAT") ? Type::number : Type::text;
}

std::string_view needed_for(Type type) {
  switch (type) {
    case Type::flag:
      return "true or false";
    case Type::number:
      return "a number";
    case Type::text:
      return "a text in quotes";
  }
  return {};
}

// Fills options with what the file says and no stronger source did. Everything wrong is thrown as
// CLI::FileError, the one error that CLI11 holds back for --help.
class FileLayer {
 public:
  explicit FileLayer(std::string path) : path_(std::move(path)) {}

  void apply(const toml::table& table, CLI::App& command, const std::string& title) const {
    for (const auto& [key, value] : table) {
      const auto name = std::string(key.str());
      const auto* below = value.as_table();
      if (below && title.empty() && name == kKafkaSection)
        read_kafka(*below);
      else if (below)
        apply(*below, command_of(command, name, *below), title + name + ".");
      else
        apply(value, option_of(command, name, title, value));
    }
  }

  [[noreturn]] void refuse(const toml::source_region& where, std::string_view what) const {
    throw CLI::FileError(fmt::format("{}: line {}: {}", path_, where.begin.line, what));
  }

 private:
  CLI::App& command_of(CLI::App& parent, const std::string& name, const toml::node& node) const {
    for (auto* command : parent.get_subcommands({}))
      if (command->get_name() == name) return *command;
    refuse(node.source(), fmt::format("there is no command '{}'", name));
  }

  CLI::Option& option_of(CLI::App& command, const std::string& name, const std::string& title,
                         const toml::node& node) const {
    auto* option = command.get_option_no_throw("--" + name);
    if (option && option->get_configurable()) return *option;
    refuse(node.source(), fmt::format("there is no option '{}{}'", title, name));
  }

  void apply(const toml::node& value, CLI::Option& option) const {
    std::vector<std::string> texts;
    const auto* list = value.as_array();
    if (list && list->empty())
      refuse(value.source(), fmt::format("'{}' is an empty list: leave it out", option.get_name()));
    if (list && option.get_expected_max() > 1)
      for (const auto& item : *list) texts.push_back(text_of(item, option));
    else
      texts.push_back(text_of(value, option));
    if (option.count() > 0 || is_set(option.get_envname())) return;
    try {
      option.add_result(texts);
      option.run_callback();
    } catch (const CLI::ParseError& error) {
      option.clear();  // or CLI11 tries it again, and tells it without the line
      refuse(value.source(), error.what());
    }
  }

  void read_kafka(const toml::table& table) const {
    for (const auto& [key, value] : table) {
      const auto name = std::string(key.str());
      if (auto allowed = storage::check_property(name); !allowed)
        refuse(value.source(), allowed.error().message);
      if (value.is_string())
        kafka_section[name] = *value.value<std::string>();
      else if (value.is_boolean())
        kafka_section[name] = *value.value<bool>() ? "true" : "false";
      else if (value.is_integer())
        kafka_section[name] = std::to_string(*value.value<int64_t>());
      else
        refuse(value.source(), fmt::format("'{}' needs a text, a number, true or false", name));
    }
  }

  std::string text_of(const toml::node& value, const CLI::Option& option) const {
    const auto type = type_of(option);
    if (type == Type::flag && value.is_boolean()) return *value.value<bool>() ? "true" : "false";
    if (type == Type::number && value.is_integer()) return std::to_string(*value.value<int64_t>());
    if (type == Type::number && value.is_floating_point())
      return fmt::format("{}", *value.value<double>());
    if (type == Type::text && value.is_string()) return *value.value<std::string>();
    refuse(value.source(), fmt::format("'{}' needs {}", option.get_name(), needed_for(type)));
  }

  std::string path_;
};

// CLI11 asks its reader for a list of items and applies them itself, without lines, and over the
// environment; so this one applies them and lists none.
class TomlReader final : public CLI::Config {
 public:
  explicit TomlReader(CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& stream) const override {
    const FileLayer layer(app_.get_config_ptr()->as<std::string>());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    try {
      layer.apply(toml::parse(text), app_, "");
    } catch (const toml::parse_error& error) {
      layer.refuse(error.source(), error.description());
    }
    return {};
  }
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return {}; }

 private:
  CLI::App& app_;
};

void name_variables(CLI::App& command) {
  for (auto* option : command.get_options()) {
    const auto& names = option->get_lnames();
    if (!names.empty() && option->get_configurable()) option->envname(variable_of(names.front()));
  }
  for (auto* below : command.get_subcommands({})) name_variables(*below);
}

}  // namespace

const storage::KafkaProperties& kafka_properties() { return kafka_section; }

void layer_options(CLI::App& app) {
  name_variables(app);
  const auto variable = variable_of("config");
  const bool is_given = is_set(variable);
  app.set_config("--config", is_given ? std::getenv(variable.c_str()) : "",
                 "TOML file with options, by default of VECHE_CONFIG", is_given)
      ->type_name("FILE");
  app.config_formatter(std::make_shared<TomlReader>(app));
}

}  // namespace veche::tools
