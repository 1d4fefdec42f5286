// What this process lets others know of it.
#pragma once

namespace veche::tools {

// No core dump of this process, and its memory is nobody's but root's: any command may hold the
// voter secret or private keys.
void keep_memory_private();

}  // namespace veche::tools
