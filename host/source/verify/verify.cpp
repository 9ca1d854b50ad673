#include "verify/verify.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <thread>

#include "plugin/elf_file.hpp"
#include "text/counted.hpp"
#include "text/printable.hpp"
#include "verify/call_words.hpp"
#include "verify/child_process.hpp"
#include "verify/ends.hpp"
#include "verify/load_tests.hpp"
#include "verify/process_changes.hpp"
#include "verify/test.hpp"

namespace taskhost::verify {

namespace {

using Json = nlohmann::json;

constexpr const char* descriptor_test = "descriptor";
constexpr const char* loading_test = "loading";
constexpr const char* neighbours_test = "neighbours";
constexpr const char* entry_test = "entry called again";
constexpr const char* conduct = "conduct";
constexpr const char* conduct_rules = "2.5, 3.1-3.4, 3.6-3.8, 3.12, 3.15, 3.16, 4.1, 4.2, 4.5-4.7, 4.10, 4.11, 5.1";
constexpr int hangs_that_are_enough = 2;
constexpr std::size_t max_nesting = 256;

// "start, then drop" is also start-then-drop.
std::string plain_name(std::string name) {
  std::replace(name.begin(), name.end(), '-', ' ');
  std::erase(name, ',');
  return name;
}

// Of valid JSON: how deep its arrays and objects are nested.
std::size_t nesting_of(const std::string& json) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool is_in_text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char character = json[i];
    if (character == '"') is_in_text = !is_in_text;
    if (is_in_text && character == '\\') ++i;
    if (is_in_text) continue;
    if (character == '[' || character == '{') deepest = std::max(deepest, ++depth);
    if (character == ']' || character == '}') --depth;
  }
  return deepest;
}

Json to_json(const Verdict& verdict) {
  return {{"type", "verdict"},
          {"judgement", static_cast<std::int32_t>(verdict.judgement)},
          {"rules", verdict.rules},
          {"text", verdict.text},
          {"done", verdict.done}};
}

// None if it is none: the process that sends them is the plugin's, too.
std::optional<Verdict> verdict_from(const Json& message) {
  const auto judgement = message.find("judgement");
  if (judgement == message.end() || !judgement->is_number_integer()) return std::nullopt;
  const std::int64_t number = judgement->get<std::int64_t>();
  for (const auto& known : words_of<Judgement>) {
    if (static_cast<std::int64_t>(known.value) != number) continue;
    Verdict verdict;
    verdict.judgement = known.value;
    verdict.rules = text_in(message, "rules");
    verdict.text = text_in(message, "text");
    verdict.done = text_in(message, "done");
    if (!verdict.done.empty() && !Json::accept(verdict.done)) return std::nullopt;
    return verdict;
  }
  return std::nullopt;
}

struct FactoryFacts {
  std::string name;
  bool is_blocking = false;
};

class Verification {
 public:
  Verification(const Options& options, const std::function<void(const Verdict&)>& on_verdict)
      : options_(options), on_verdict_(on_verdict) {}

  Result run();

 private:
  bool wants(const std::string& test) const {
    return options_.tests.empty() || std::any_of(options_.tests.begin(), options_.tests.end(), [&](const auto& name) {
             return plain_name(name) == plain_name(test);
           });
  }
  Result wrong_test() const;

  // In a process of its own; again, if that stood still and something seems to be wrong.
  ChildEnd run_test(const std::function<void(const Reporter& reporter)>& body);
  bool find_factories();
  void verify_plugin();
  void verify_factory(const FactoryFacts& factory);
  ChildEnd run_factory_test(const FactoryFacts& factory, const Test& test, std::size_t index, bool heeds_stop);
  // The verdicts that the child has sent, or how it died if there is none.
  Verdict take_verdicts(const ChildEnd& end, const FactoryFacts* factory, const char* test, const char* rules);
  void say(Verdict verdict, const FactoryFacts* factory, const char* test, const char* rules);

  const Options& options_;
  std::string path_;  // absolute: a plugin may change the working directory
  const std::function<void(const Verdict&)>& on_verdict_;
  SharedProgress progress_;
  std::vector<FactoryFacts> factories_;
  std::set<std::string> findings_;  // kinds already reported for this factory
  bool is_in_order_ = true;
  bool conduct_is_broken_ = false;
};

Result Verification::wrong_test() const {
  std::vector<std::string> known = {descriptor_test, loading_test, neighbours_test, entry_test};
  for (const Test& test : factory_tests()) known.emplace_back(test.name);
  const std::vector<std::string_view> words(known.begin(), known.end());
  for (const std::string& name : options_.tests) {
    if (std::none_of(known.begin(), known.end(),
                     [&](const auto& one) { return plain_name(one) == plain_name(name); })) {
      return {TASKHOST_RESULT_BAD_MANIFEST,
              "there is no test " + quoted_text(name) + "; choose from " + quoted_list(words, "and")};
    }
  }
  return {};
}

void Verification::say(Verdict verdict, const FactoryFacts* factory, const char* test, const char* rules) {
  if (factory != nullptr) verdict.factory = factory->name;
  verdict.test = test;
  if (verdict.rules.empty()) verdict.rules = rules;
  if (verdict.judgement == Judgement::broken || verdict.judgement == Judgement::unproven) is_in_order_ = false;
  on_verdict_(verdict);
}

Verdict Verification::take_verdicts(const ChildEnd& end, const FactoryFacts* factory, const char* test,
                                    const char* rules) {
  std::optional<Verdict> verdict;
  for (const Json& message : end.messages) {
    const std::string type = text_in(message, "type");
    std::optional<Verdict> sent = verdict_from(message);
    if (type == "verdict" && end.has_finished) verdict = sent;
    if (type != "finding" || !sent || !findings_.insert(text_in(message, "kind")).second) continue;
    if (sent->judgement == Judgement::broken) conduct_is_broken_ = true;
    sent->text += " (seen in \"" + std::string(test) + "\")";
    say(*sent, factory, conduct, "");
  }
  if (end.has_foreign_messages && findings_.insert("foreign messages").second) {
    say(Verdict{Judgement::note,
                {},
                {},
                "5.1",
                "it wrote to a descriptor that it has not opened (seen in \"" + std::string(test) + "\")"},
        factory, conduct, "");
  }
  // What executions need that could not be dropped is not left behind.
  const bool is_left = !end.left_running.empty() && end.has_finished && progress_->alive == 0;
  if (is_left && findings_.insert("left running").second) {
    say(broken("5.3", "it left " + counted(end.left_running.size(), "process", "processes") + " running, such as " +
                          quoted_text(end.left_running.front()) + ", which had to be killed (seen in \"" + test +
                          "\")"),
        factory, conduct, "");
    conduct_is_broken_ = true;
  }
  if (!verdict && progress_->is_refused) verdict = refused_by_system(end, *progress_);
  if (!verdict) verdict = death(end, *progress_);
  say(*verdict, factory, test, rules);
  return *verdict;
}

ChildEnd Verification::run_test(const std::function<void(const Reporter& reporter)>& body) {
  constexpr int attempts = 3;
  for (int attempt = 1;; ++attempt) {
    ChildEnd end = run_in_child(*progress_, options_.time_limit, body);
    const bool is_in_order =
        end.has_finished && std::none_of(end.messages.begin(), end.messages.end(), [](const Json& message) {
          const std::optional<Verdict> sent = verdict_from(message);
          return sent && (sent->judgement == Judgement::broken || sent->judgement == Judgement::unproven);
        });
    if (is_in_order || end.stood_still.count() == 0 || attempt == attempts) return end;
  }
}

bool Verification::find_factories() {
  constexpr const char* rules = "1.1-1.3, 2.1-2.10";
  const ChildEnd end = run_test([this](const Reporter& reporter) {
    tell_what_crashes_hit(*progress_);
    const LoadedPlugin plugin = load_plugin(path_, *progress_);
    if (plugin.library == nullptr) {
      reporter.send(to_json(refused(plugin.problem)));
      return;
    }
    Json list = Json::array();
    for (const taskhost_factory& factory : plugin.library->factories()) {
      list.push_back({{"name", factory.name}, {"blocking", factory.run != nullptr}});
    }
    reporter.send({{"type", "factories"}, {"list", list}});
    reporter.send(to_json(holds(counted(list.size(), "factory", "factories"))));
  });
  for (const Json& message : end.messages) {
    if (text_in(message, "type") != "factories" || !message.contains("list")) continue;
    for (const Json& entry : message["list"]) {
      factories_.push_back({text_in(entry, "name"), entry.contains("blocking") && entry["blocking"] == true});
    }
  }
  return take_verdicts(end, nullptr, descriptor_test, rules).judgement == Judgement::holds;
}

void Verification::verify_plugin() {
  if (wants(loading_test)) {
    const ChildEnd end =
        run_test([this](const Reporter& reporter) { reporter.send(to_json(loading(path_, *progress_))); });
    if (end.has_finished && !end.output.empty()) {
      say(broken("1.5", "it writes when it is loaded: " + quoted_text(end.output)), nullptr, loading_test, "");
    } else {
      take_verdicts(end, nullptr, loading_test, "1.5, 5.1");
    }
  }
  if (wants(neighbours_test)) {
    const ChildEnd end = run_test([this](const Reporter& reporter) {
      const LoadedPlugin plugin = load_plugin(path_, *progress_);
      reporter.send(to_json(plugin.library == nullptr ? refused(plugin.problem) : neighbours(plugin)));
    });
    take_verdicts(end, nullptr, neighbours_test, "1.1");
  }
  if (wants(entry_test)) {
    const ChildEnd end = run_test([this](const Reporter& reporter) {
      const LoadedPlugin plugin = load_plugin(path_, *progress_);
      progress_->enter(Phase::entry);
      const Verdict verdict = plugin.library == nullptr ? refused(plugin.problem) : entry_called_again(plugin);
      progress_->phase = Phase::none;
      reporter.send(to_json(verdict));
    });
    take_verdicts(end, nullptr, entry_test, "1.4");
  }
}

ChildEnd Verification::run_factory_test(const FactoryFacts& facts, const Test& test, std::size_t index,
                                        bool heeds_stop) {
  return run_test([&](const Reporter& reporter) {
    // Never destroyed: threads that are left behind may use it when the process ends.
    auto& host = *new SimulatedHost(
        *progress_,
        {.config = options_.config,
         .name = options_.name.empty() ? facts.name : options_.name,
         .directory = options_.directory.empty() ? std::filesystem::current_path().string() : options_.directory,
         .has_secrets = options_.has_secrets},
        [&reporter](const Finding& finding) {
          reporter.send(
              {{"type", "finding"},
               {"kind", finding.kind},
               {"judgement", static_cast<std::int32_t>(finding.is_note ? Judgement::note : Judgement::broken)},
               {"rules", finding.rule},
               {"text", finding.text}});
        });
    tell_what_crashes_hit(*progress_);
    const auto& plugin = *new LoadedPlugin(load_plugin(path_, *progress_));
    const taskhost_factory* factory = plugin.library != nullptr ? plugin.library->find(facts.name) : nullptr;
    if (factory == nullptr) {
      reporter.send(to_json(broken("1.4", "the plugin loaded before, but not this time: " + plugin.problem)));
      return;
    }
    host.set_longest_grace(
        std::min<std::chrono::nanoseconds>(std::chrono::milliseconds(100), options_.time_limit / 100));
    host.set_brings_runtime(plugin.brings_runtime);
    record_process_changes(host);
    // Each test has random numbers of its own, so that it makes the same choices alone as among all.
    TestContext context(host, *factory,
                        {.seed = options_.seed * 1000 + index,
                         .time_limit = options_.time_limit,
                         .needs = test.needs,
                         .brings_runtime = plugin.brings_runtime,
                         .heeds_stop = heeds_stop});
    const Verdict verdict = context.conclude(facts.is_blocking ? test.blocking(context) : test.polled(context));
    if (context.is_plugin_over()) return reporter.send(to_json(verdict));
    // To see what a thread of the plugin still does.
    if (count_threads() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(40));
    if (const std::string words = changed_descriptor(plugin); !words.empty()) {
      host.findings().broken("1.4", "descriptor changed", words);
    }
    if (progress_->child_returned) {
      host.findings().broken("3.14", "child returned",
                             "a child process that one of its functions forked came out of that function; it must call "
                             "_exit, or execute another program");
    }
    reporter.send(to_json(verdict));
  });
}

void Verification::verify_factory(const FactoryFacts& factory) {
  findings_.clear();
  conduct_is_broken_ = false;
  bool heeds_stop = true;
  int hangs = 0;
  int held = 0;
  std::size_t index = 0;
  for (const Test& test : factory_tests()) {
    ++index;
    if (!wants(test.name)) continue;
    if ((factory.is_blocking ? test.blocking : test.polled) == nullptr) {
      say(inapplicable("it is a blocking task"), &factory, test.name, test.rules);
      continue;
    }
    if (hangs >= hangs_that_are_enough) {
      say(unproven("not tried, since " + std::to_string(hangs) + " tests have hung already"), &factory, test.name,
          test.rules);
      continue;
    }
    if (!heeds_stop && (factory.is_blocking || test.rules == std::string("3.10"))) {
      say(unproven("not tried, since it does not end when asked to stop"), &factory, test.name, test.rules);
      continue;
    }
    const ChildEnd end = run_factory_test(factory, test, index, heeds_stop);
    const Verdict verdict = take_verdicts(end, &factory, test.name, test.rules);
    if (end.was_late) ++hangs;
    if (verdict.judgement == Judgement::holds) ++held;
    if (verdict.judgement == Judgement::broken && verdict.rules.find("3.10") != std::string::npos) heeds_stop = false;
  }
  if (!conduct_is_broken_ && options_.tests.empty() && held > 2) {
    say(holds(std::string("in all of these tests: what its functions return and how long they take, how it uses the "
                          "services, the bounds of its state") +
              (process_changes_are_recorded ? ", what its calls change in the process"
                                            : "; not what its calls change in the process and restore")),
        &factory, conduct, conduct_rules);
  }
}

Result Verification::run() {
  if (Result wrong = wrong_test(); wrong.code != TASKHOST_RESULT_OK) return wrong;
  if (!Json::accept(options_.config)) return {TASKHOST_RESULT_BAD_MANIFEST, "the config is not JSON"};
  if (const std::size_t nesting = nesting_of(options_.config); nesting > max_nesting) {
    return {TASKHOST_RESULT_BAD_MANIFEST, "the config is nested " + std::to_string(nesting) + " levels deep; at most " +
                                              std::to_string(max_nesting) + " are possible, as in a manifest"};
  }
  std::error_code error;
  if (std::filesystem::current_path(error).empty()) {
    return {TASKHOST_RESULT_SYSTEM, "there is no working directory for the tests, " + error.message() +
                                        ": change to a directory that exists and that you may read"};
  }
  path_ = std::filesystem::absolute(options_.plugin, error).string();
  if (const std::string problem = library_file_problem(options_.plugin); !problem.empty()) {
    const bool is_name = options_.plugin.find('/') == std::string::npos && !std::filesystem::exists(path_, error);
    return {TASKHOST_RESULT_BAD_PLUGIN, printable_path(options_.plugin) + ": " + problem +
                                            (is_name ? "; name the plugin's file, such as plugins/flaky.so" : "")};
  }
  if (find_factories()) {
    std::vector<FactoryFacts> chosen;
    std::vector<std::string> names;
    for (const FactoryFacts& factory : factories_) {
      names.push_back(quoted_text(factory.name));
      if (!options_.task || *options_.task == factory.name) chosen.push_back(factory);
    }
    if (chosen.empty()) {
      return {TASKHOST_RESULT_BAD_MANIFEST, printable_path(options_.plugin) + ": no factory is named " +
                                                quoted_text(*options_.task) + "; it has " + word_list(names, "and")};
    }
    verify_plugin();
    for (const FactoryFacts& factory : chosen) verify_factory(factory);
  }
  return {is_in_order_ ? TASKHOST_RESULT_OK : TASKHOST_RESULT_TASK_FAILED, {}};
}

}  // namespace

Result run(const Options& options, const std::function<void(const Verdict&)>& on_verdict) {
  return Verification(options, on_verdict).run();
}

}  // namespace taskhost::verify
