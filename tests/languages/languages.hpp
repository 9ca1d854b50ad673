// The languages whose greeters are built, and tasks made from them. abi/sdk/README.md describes the greeter.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scene.hpp"

namespace taskhost::test {

struct GreeterLanguage {
  std::string id;
  std::string title;
  bool panics = false;

  std::string plugin() const { return std::string(TASKHOST_TEST_GREETERS) + "/greeter_" + id + ".so"; }
  std::vector<std::string> ends() const {
    return panics ? std::vector<std::string>{"ok", "error", "panic"} : std::vector<std::string>{"ok", "error"};
  }
};

inline const std::vector<GreeterLanguage>& greeter_languages() {
  static const std::vector<GreeterLanguage> languages = [] {
    const std::string built = std::string(",") + TASKHOST_TEST_LANGUAGES + ",";
    std::vector<GreeterLanguage> found;
    std::ifstream table(TASKHOST_TEST_LANGUAGE_TABLE);
    for (std::string line; std::getline(table, line);) {
      std::istringstream row(line);
      GreeterLanguage language;
      std::string commands;
      std::string packages;
      std::string panics;
      if (!(row >> language.id >> commands >> packages >> panics >> language.title)) continue;
      language.panics = panics == "yes";
      if (built.find("," + language.id + ",") != std::string::npos) found.push_back(language);
    }
    return found;
  }();
  return languages;
}

inline Json greeter(const GreeterLanguage& language, std::string_view type, Json config, unsigned restarts = 0) {
  return task(language.id, language.plugin(), type, std::move(config), restarts);
}

}  // namespace taskhost::test
