// Locates files named in a config. For the plugins in plugins/.
#pragma once

#include <string>
#include <string_view>

#include "taskhost/ext/manifest.h"

namespace plugin_support {

// The manifest's directory; empty if the host does not provide it.
inline std::string manifest_directory(const taskhost_exec* exec) {
  const auto* manifest = static_cast<const taskhost_manifest*>(
      exec->services->extension(exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION));
  return manifest != nullptr ? manifest->directory(exec) : "";
}

// A path is not empty and contains no NUL.
inline bool may_be_path(std::string_view text) { return !text.empty() && text.find('\0') == std::string_view::npos; }

// A relative path counts from that directory, or from the working directory if there is none.
inline std::string located(const taskhost_exec* exec, const std::string& path) {
  const std::string directory = manifest_directory(exec);
  return path.empty() || path.front() == '/' || directory.empty() ? path : directory + "/" + path;
}

}  // namespace plugin_support
