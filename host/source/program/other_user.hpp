// Lets root see what another user would: which files may be read, and what plugins make of it.
#pragma once

#include <string>

namespace taskhost {

// The rest of the process is that user's, with the user's groups: a name, or a number that need not be known. Returns
// what went wrong; "" if nothing did. Call it before there are threads.
std::string become_user(const std::string& user);

}  // namespace taskhost
