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

}  // namespace taskhost::test
