// How many files this process may have open.
#pragma once

namespace veche::tools {

// Each connection is a file, and the usual limit is 1,024: raises it to what the system allows.
void allow_many_files();

}  // namespace veche::tools
