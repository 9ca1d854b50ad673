// Says why the system refuses a path. Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace taskhost {

// "Permission denied: the user feeder may not enter "/root"": for EACCES, who may not do what, and where. Other errors,
// in the system's words alone.
std::string refusal_words(const std::filesystem::path& path, int error);

}  // namespace taskhost
