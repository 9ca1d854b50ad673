// A terminal whose screen can be read: tmux types keys into it and tells what is seen. Its server is the test's own.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "scene.hpp"
#include "support/catch.hpp"
#include "support/process.hpp"

namespace taskhost::test {

class Tmux {
 public:
  // Runs a shell command, or, if that is empty, a shell whose prompt is `prompt`.
  explicit Tmux(const std::string& command = {}, unsigned width = 100, unsigned height = 16) {
    std::vector<std::string> arguments{"-f",
                                       "/dev/null",
                                       "new-session",
                                       "-d",
                                       "-x",
                                       std::to_string(width),
                                       "-y",
                                       std::to_string(height),
                                       command.empty() ? "exec sh -i" : command};
    ask(std::move(arguments)).require();
    if (!command.empty()) return;
    enter("PS1=$(printf 'rea%s' 'dy> '); clear");  // root's shell ignores that of the environment
    see({prompt});
  }
  ~Tmux() { ask({"kill-server"}); }
  Tmux(const Tmux&) = delete;
  Tmux& operator=(const Tmux&) = delete;

  static constexpr std::string_view prompt = "ready>";

  // tmux's names, such as "Down" and "C-z"; other texts are typed as they are.
  void press(std::vector<std::string> keys) const {
    keys.insert(keys.begin(), {"send-keys", "--"});
    ask(std::move(keys)).require();
  }
  void enter(const std::string& line) const { press({line, "Enter"}); }
  void resize(unsigned width, unsigned height) const {
    ask({"resize-window", "-x", std::to_string(width), "-y", std::to_string(height)}).require();
  }

  std::string screen() const { return ask({"capture-pane", "-p"}).out; }
  std::string coloured_screen() const { return ask({"capture-pane", "-p", "-e"}).out; }
  // Of tmux's formats, such as "alternate_on".
  std::string value(const std::string& name) const {
    std::string text = ask({"display-message", "-p", "#{" + name + '}'}).out;
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }

  // Fails the test if it does not become true in twenty seconds.
  void until(const std::function<bool()>& holds) const {
    const bool is_seen = eventually(holds, std::chrono::seconds(20));
    INFO(screen());
    REQUIRE(is_seen);
  }
  // Until a line has all these words.
  void see(std::initializer_list<std::string_view> words) const {
    std::string wanted;
    for (const std::string_view word : words) wanted.append(word).append("|");
    INFO("expected: " << wanted);
    until([&] { return has_line(screen(), words); });
  }

 private:
  ProcessEnd ask(std::vector<std::string> arguments) const {
    Command command;
    command.program = "tmux";
    command.arguments = {"-u", "-S", (directory_ / "tmux").string()};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    command.environment = {"LC_ALL=C.UTF-8", "ENV=", "NO_COLOR=", "TMUX="};
    return Process(command).wait();
  }

  const TemporaryDirectory directory_;
};

}  // namespace taskhost::test
