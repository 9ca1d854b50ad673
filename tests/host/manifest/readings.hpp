// What the tests of the manifest's reader share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manifest/faults.hpp"
#include "manifest/manifest.hpp"
#include "support/catch.hpp"

namespace taskhost::test {

inline Manifest read_good(const std::string& text) {
  const ManifestReading reading = read_manifest(text, "m");
  for (const Fault& fault : reading.faults) FAIL_CHECK(fault.text());
  return reading.manifest;
}

inline std::vector<std::string> faults_of(std::string_view text) {
  std::vector<std::string> lines;
  for (const Fault& fault : read_manifest(text, "m").faults) lines.push_back(fault.text());
  return lines;
}

struct BadManifest {
  std::string text;
  std::vector<std::string> faults;  // all lines
};

inline void check(const std::vector<BadManifest>& manifests) {
  for (const BadManifest& manifest : manifests) {
    INFO(manifest.text);
    CHECK(faults_of(manifest.text) == manifest.faults);
  }
}

// Manifests with one task, and where a fault of that task is.
inline std::string task(const std::string& fields) { return R"({"plugin": "p", )" + fields + '}'; }
inline std::string tasks(const std::string& entries) { return R"({"tasks": [)" + entries + "]}"; }
inline std::string mandatory(const std::string& fields) { return tasks(task(R"("type": "mandatory", )" + fields)); }
inline std::string restarted(const std::string& fields) { return mandatory(R"("restarts": 3, )" + fields); }
inline std::string ends_host(const std::string& fields) {
  return tasks(task(R"("type": "shutdown_on_exit", )" + fields));
}
inline std::string at(const std::string& field, const std::string& words) {
  return "m: /tasks/0" + field + " (line 1): " + words;
}

}  // namespace taskhost::test
