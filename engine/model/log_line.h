// What a process says of itself while it serves: lines on stderr. That a line cannot be written
// must not end, throw into or hold up whoever has something to say; it is only lost.
#pragma once

#include <string_view>

namespace veche::model {

enum class Stream { out = 1, err = 2 };  // as the system numbers them

// Writes the line with its end, in one write and at most 4 KiB of it. A reader who takes nothing,
// such as a collector of logs that hangs, is waited for a moment, and from then on not at all until
// he takes a line again. False: it is lost. Any thread.
bool write_line(Stream stream, std::string_view line);

}  // namespace veche::model
