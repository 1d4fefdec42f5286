// Everything that a command says. Nothing here throws, and nothing ends the process: a line that
// cannot be written is only lost. That stdout lost something is remembered, and the exit of the
// process tells it.
//
//   print     the result, to stdout
//   tell      everything else, to stderr
//   log_line  the same for a server: a line without its end, and no reader is waited for
//
// Any thread may call.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <utility>

#include "engine/model/log_line.h"

namespace veche::tools {

// Before anything else is opened. A standard stream that is closed is opened on nothing, so that no
// other file gets its number and what was to be printed; what goes there is lost as on a full disk.
// A reader that has gone is an error from here on, and ends nobody (SIGPIPE).
void open_standard_streams();

void write_text(std::FILE* out, std::string_view text);
// What was printed goes out now.
void flush_output();

// Of stdout: whether nobody is there to read it any more. Told from when print met it, or
// look_for_reader() did, for who has nothing to print for a while.
bool is_reader_gone();
void look_for_reader();

// The last thing in main: what it returns. Lost output makes a success a failure, and is told; but
// if the reader has gone, as with `| head`, the process ends by SIGPIPE, without a word.
int finish_output(int exit_code);

template <class... Args>
void print(std::FILE* out, fmt::format_string<Args...> format, Args&&... args) {
  write_text(out, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  write_text(stdout, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void tell(fmt::format_string<Args...> format, Args&&... args) {
  write_text(stderr, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_line(fmt::format_string<Args...> format, Args&&... args) {
  model::write_line(model::Stream::err, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace veche::tools
