// Completion for bash, zsh and fish. The scripts list the commands and options that there are, and ask `taskhost
// complete` for the names of hosts and tasks.
#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "operate/commands.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

struct Option {
  std::string name;  // "--host"
  std::string description;
  bool has_value = false;
  std::string values;  // "hosts", "files", or words that it may be
};

struct Verb {
  std::string name;
  std::string description;
  std::string takes;  // "tasks", "files", or words
  std::vector<Option> options;
};

std::string in_quotes(std::string_view text, std::string_view escaped_quote) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += escaped_quote;
    } else {
      quoted += c;
    }
  }
  return quoted + '\'';
}
std::string shell_quoted(std::string_view text) { return in_quotes(text, "'\\''"); }
std::string fish_quoted(std::string_view text) { return in_quotes(text, "\\'"); }

// By what an option or argument is called in the help.
std::string values_of(const std::string& type) {
  if (type == "NAME|PATH") return "hosts";
  if (type == "TASK") return "tasks";
  if (type == "SHELL") return "bash zsh fish";
  if (type == "LEVEL") return "trace debug info warning error";
  for (const char* const file : {"MANIFEST", "PLUGIN", "FILE", "DIR", "PATH"}) {
    if (type == file) return "files";
  }
  return {};
}

std::vector<Verb> verbs_of(const CLI::App& app) {
  std::vector<Verb> verbs;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* its) { return !its->get_group().empty(); })) {
    Verb verb{.name = command->get_name(), .description = command->get_description(), .takes = {}, .options = {}};
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional()) verb.takes = values_of(option->get_name(true));
      if (option->get_lnames().empty()) continue;
      verb.options.push_back({.name = "--" + option->get_lnames().front(),
                              .description = option->get_description(),
                              .has_value = option->get_items_expected_max() != 0,
                              .values = values_of(option->get_type_name())});
    }
    verbs.push_back(std::move(verb));
  }
  return verbs;
}

std::string replaced(std::string text, std::string_view what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::string option_names(const Verb& verb) {
  std::string names;
  for (const Option& option : verb.options) names += (names.empty() ? "" : " ") + option.name;
  return names;
}

constexpr std::string_view bash_script = R"sh(# Completion of taskhost for bash: source <(taskhost completion bash)
_taskhost_offer() { # tasks, hosts, files, or words
  local name names=()
  case $1 in
    files) ;;
    tasks | hosts) mapfile -t names < <("$program" complete "$1" "${host[@]}" 2>/dev/null) ;;
    *) read -ra names <<<"$1" ;;
  esac
  for name in "${names[@]}"; do
    [[ $name != "$cur"* ]] || COMPREPLY+=("$(printf %q "$name")")
  done
  [[ $1 != files && ($1 != hosts || $cur != */*) ]] || _taskhost_offer_files
}
_taskhost_offer_files() {
  local files=()
  mapfile -t files < <(compgen -f -- "$cur")
  COMPREPLY+=("${files[@]}")
  compopt -o filenames 2>/dev/null
}
_taskhost() {
  local program=${COMP_WORDS[0]} verb=${COMP_WORDS[1]-} line=${COMP_LINE:0:COMP_POINT} host=() i
  local cur=${line##*[[:space:]]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  for ((i = 2; i < COMP_CWORD - 1; i++)); do
    [[ ${COMP_WORDS[i]} != --host ]] || host=(--host "${COMP_WORDS[i + 1]}")
  done
  if [[ $COMP_CWORD -eq 1 ]]; then
    _taskhost_offer '@VERBS@ --help --version'
    _taskhost_offer_files
    return
  fi
  case "$verb $previous" in
@VALUES@  esac
  case $verb in
@CASES@    *) _taskhost_offer files ;;
  esac
  # For readline, a colon ends a word.
  local colon=${cur%"${cur##*:}"}
  COMPREPLY=("${COMPREPLY[@]#"$colon"}")
}
complete -F _taskhost taskhost
)sh";

std::string bash_completion(const std::vector<Verb>& verbs) {
  std::string names;
  std::string values;
  std::string cases;
  for (const Verb& verb : verbs) {
    names += (names.empty() ? "" : " ") + verb.name;
    for (const Option& option : verb.options) {
      if (!option.has_value) continue;
      values += "    " + shell_quoted(verb.name + ' ' + option.name) + ") " +
                (option.values.empty() ? "return" : "_taskhost_offer " + shell_quoted(option.values) + "; return") +
                " ;;\n";
    }
    cases += "    " + verb.name + ") if [[ $cur == -* ]]; then _taskhost_offer " + shell_quoted(option_names(verb)) +
             "; else " + (verb.takes.empty() ? ":" : "_taskhost_offer " + shell_quoted(verb.takes)) + "; fi ;;\n";
  }
  return replaced(replaced(replaced(std::string(bash_script), "@VERBS@", names), "@VALUES@", values), "@CASES@", cases);
}

constexpr std::string_view zsh_script = R"sh(#compdef taskhost
# Completion of taskhost for zsh: source <(taskhost completion zsh), or a file _taskhost in a directory of $fpath.
_taskhost_offer() { # tasks, hosts, files, or words
  local -a names host
  local at=${words[(I)--host]}
  if (( at != 0 && at + 1 < CURRENT )); then host=(--host "${(Q)words[at + 1]}"); fi
  case $1 in
    files) ;;
    tasks | hosts) names=("${(@f)$("${words[1]}" complete "$1" "${host[@]}" 2>/dev/null)}") ;;
    *) names=(${=1}) ;;
  esac
  compadd -- "${(@)names:#}"
  if [[ $1 == files || ( $1 == hosts && $PREFIX == */* ) ]]; then _files; fi
}
_taskhost() {
  local -a verbs options
  if (( CURRENT == 2 )); then
    verbs=(
@VERBS@    )
    _describe command verbs
    _files
    return
  fi
  case "${words[2]} ${words[CURRENT - 1]}" in
@VALUES@  esac
  case ${words[2]} in
@CASES@    *) _files ;;
  esac
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then _taskhost "$@"; else compdef _taskhost taskhost; fi
)sh";

std::string zsh_completion(const std::vector<Verb>& verbs) {
  std::string names;
  std::string values;
  std::string cases;
  for (const Verb& verb : verbs) {
    names += "      " + shell_quoted(verb.name + ':' + verb.description) + '\n';
    std::string options;
    for (const Option& option : verb.options) {
      options += ' ' + shell_quoted(option.name + ':' + option.description);
      if (!option.has_value) continue;
      values += "    " + shell_quoted(verb.name + ' ' + option.name) + ") " +
                (option.values.empty() ? "return" : "_taskhost_offer " + shell_quoted(option.values) + "; return") +
                " ;;\n";
    }
    cases += "    " + verb.name + ") if [[ ${words[CURRENT]} == -* ]]; then options=(" + options +
             "); _describe -o option options; else " +
             (verb.takes.empty() ? ":" : "_taskhost_offer " + shell_quoted(verb.takes)) + "; fi ;;\n";
  }
  return replaced(replaced(replaced(std::string(zsh_script), "@VERBS@", names), "@VALUES@", values), "@CASES@", cases);
}

constexpr std::string_view fish_script = R"sh(# Completion of taskhost for fish: taskhost completion fish | source
function __taskhost_names
    set -l words (commandline -opc)
    set -l host
    if set -l at (contains -i -- --host $words); and test $at -lt (count $words)
        set host --host $words[(math $at + 1)]
    end
    $words[1] complete $argv[1] $host 2>/dev/null
end
)sh";

std::string fish_completion(const std::vector<Verb>& verbs) {
  const auto arguments_of = [](const std::string& values) {
    if (values.empty()) return std::string(" -f");
    if (values == "files") return std::string(" -F");
    if (values == "tasks" || values == "hosts") return " -f -a '(__taskhost_names " + values + ")'";
    return " -f -a " + fish_quoted(values);
  };
  std::string script(fish_script);
  for (const Verb& verb : verbs) {
    script +=
        "complete -c taskhost -n __fish_use_subcommand -a " + verb.name + " -d " + fish_quoted(verb.description) + '\n';
    const std::string begin = "complete -c taskhost -n '__fish_seen_subcommand_from " + verb.name + "'";
    script += begin + arguments_of(verb.takes) + '\n';
    for (const Option& option : verb.options) {
      script += begin + " -l " + option.name.substr(2) +
                (option.has_value ? " -r" + arguments_of(option.values) : std::string()) + " -d " +
                fish_quoted(option.description) + '\n';
    }
  }
  return script;
}

}  // namespace

int print_completion(const CLI::App& app, const OperateArguments& arguments, const Output& output) {
  const std::vector<Verb> verbs = verbs_of(app);
  output.print(arguments.word == "bash"  ? bash_completion(verbs)
               : arguments.word == "zsh" ? zsh_completion(verbs)
                                         : fish_completion(verbs));
  return 0;
}

int complete_words(const OperateArguments& arguments, const Output& output) {
  std::string lines;
  const auto add = [&lines](const std::string& name) {
    if (!name.empty() && terminal_text(name) == name) lines += name + '\n';
  };
  try {
    if (arguments.word == "hosts") {
      for (const std::string& option : options_for(live_hosts())) add(option);
    } else {
      RunningHost host(find_host(arguments.host));
      for (const Json& task : host.tasks()) add(text_field(task, "name"));
    }
  } catch (const Refusal&) {
    return operate_failed;  // a shell that completes has no place for words
  }
  output.print(lines);
  return 0;
}

}  // namespace taskhost
