// Where the options of commands come from, the strongest first:
//
//   1. the command line         veche serve --access-log a.log
//   2. the environment          VECHE_ACCESS_LOG=a.log; an empty variable counts as absent
//   3. a TOML file              [serve]
//                               access-log = "a.log"
//
// The file is named by --config or VECHE_CONFIG. It has one table for each command, as [serve] or
// [poll.create], with the names of the options as --help tells them: a flag is true or false, a
// number a number, an option that may be repeated an array. Besides it may have a table [kafka]
// with settings of librdkafka for the connection, as "sasl.username": in a file, so that secrets
// need not stand on a command line. What the file says wrongly is refused with its line: a command
// or an option that does not exist, a value of another type, a value that the option does not take.
#pragma once

#include <CLI/App.hpp>

#include "storage/kafka/kafka_address.h"

namespace veche::tools {

// Gives the options of all commands, which must have been added before, these sources.
void layer_options(CLI::App& app);

// What the file's table [kafka] says, when the command runs.
const storage::KafkaProperties& kafka_properties();

}  // namespace veche::tools
