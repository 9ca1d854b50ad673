// The page for browsers: made of the files in host/source/page when taskhost is built. Plain values; any thread.
#pragma once

#include <string_view>

namespace taskhost {

struct Page {
  std::string_view html;
  std::string_view tag;     // its ETag, with quotes
  std::string_view policy;  // its Content-Security-Policy, which names its one script and its one style by their hashes
};

extern const Page page;  // in page.cpp, which page/embed.cmake writes

}  // namespace taskhost
