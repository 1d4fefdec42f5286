// Ctrl-C and SIGTERM for commands that must tidy up before they end; that nobody reads what they
// print any more counts as one.
#pragma once

namespace veche::tools {

// From now on these signals only set what interrupted() tells. A second one ends the process.
void catch_interrupts();
// Callable from any thread.
bool interrupted();

}  // namespace veche::tools
