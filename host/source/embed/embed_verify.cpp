// taskhost_verify of the C interface: translates arguments and verdicts; no exception leaves it.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <utility>

#include "embed/caught_error.hpp"
#include "embed/manifest_verify.hpp"
#include "events/event_json.hpp"
#include "taskhost/taskhost.h"
#include "text/duration.hpp"
#include "verify/verify.hpp"

namespace {

using taskhost::verify::Options;
using taskhost::verify::Result;
using taskhost::verify::Verdict;

constexpr std::uint64_t shortest_time_limit = 100 * TASKHOST_MILLISECOND;

std::string json_of(const Verdict& verdict) {
  std::string json = "{\"verdict\":";
  taskhost::append_json_string(json, taskhost::to_string(verdict.judgement));
  if (!verdict.factory.empty()) {
    json += ",\"factory\":";
    taskhost::append_json_string(json, verdict.factory);
  }
  json += ",\"test\":";
  taskhost::append_json_string(json, verdict.test);
  json += ",\"rules\":";
  taskhost::append_json_string(json, verdict.rules);
  json += ",\"text\":";
  taskhost::append_json_string(json, verdict.text);
  if (!verdict.done.empty()) json += ",\"done\":" + verdict.done;
  return json + "}";
}

Result bad_option(const std::string& words) { return {TASKHOST_RESULT_BAD_MANIFEST, words}; }

Result read_options(const taskhost_verify_options& given, Options& options) {
  if (given.plugin == nullptr && given.manifest == nullptr) return bad_option("no plugin");
  if (given.manifest != nullptr && (given.plugin != nullptr || given.config != nullptr)) {
    return bad_option("a manifest says itself which plugins and configs its tasks have");
  }
  if (given.test_count != 0 && given.tests == nullptr) return bad_option("test_count without tests");
  if (std::count(given.tests, given.tests + given.test_count, nullptr) != 0) {
    return bad_option("a name in tests is NULL");
  }
  if (given.plugin != nullptr) options.plugin = given.plugin;
  if (given.task != nullptr) options.task = given.task;
  if (given.config != nullptr) options.config = given.config;
  if (given.seed != 0) options.seed = given.seed;
  if (given.time_limit != 0) {
    const auto longest = static_cast<std::uint64_t>(taskhost::max_duration.count());
    if (given.time_limit < shortest_time_limit) return bad_option("the time limit of a test must be at least 100ms");
    if (given.time_limit > longest) return bad_option("the time limit of a test must be at most 365 days");
    options.time_limit = std::chrono::nanoseconds(static_cast<std::int64_t>(given.time_limit));
  }
  for (std::uint32_t i = 0; i < given.test_count; ++i) options.tests.emplace_back(given.tests[i]);
  return {};
}

Result verify(const taskhost_verify_options* given, void (*on_verdict)(void* user, const taskhost_verdict* verdict),
              void* user) {
  if (given == nullptr || on_verdict == nullptr) return bad_option("no options, or no callback");
  taskhost_verify_options full{};  // fields that the caller's struct lacks are zero
  std::memcpy(&full, given, std::min<std::size_t>(given->struct_size, sizeof full));
  Options options;
  if (Result wrong = read_options(full, options); wrong.code != TASKHOST_RESULT_OK) return wrong;
  const std::function<void(const Verdict&)> tell = [on_verdict, user](const Verdict& found) {
    const std::string json = json_of(found);
    const taskhost_verdict verdict = {
        sizeof(taskhost_verdict),
        static_cast<std::int32_t>(found.judgement),
        found.factory.empty() ? nullptr : found.factory.c_str(),
        found.test.c_str(),
        found.rules.c_str(),
        found.text.c_str(),
        json.c_str(),
    };
    on_verdict(user, &verdict);
  };
  return full.manifest != nullptr ? taskhost::verify_manifest(full.manifest, options, tell)
                                  : taskhost::verify::run(options, tell);
}

}  // namespace

extern "C" int32_t taskhost_verify(const taskhost_verify_options* options,
                                   void (*on_verdict)(void* user, const taskhost_verdict* verdict), void* user,
                                   char* error, size_t error_size) {
  int32_t code = TASKHOST_RESULT_OK;
  const char* words = "";
  Result result;
  try {
    result = verify(options, on_verdict, user);
    code = result.code;
    words = result.error.c_str();
  } catch (...) {
    taskhost::CaughtError caught = taskhost::caught_error();
    code = caught.code;
    result.error = std::move(caught.text);
    words = result.error.c_str();
  }
  if (error != nullptr && error_size != 0) {
    const std::size_t size = std::min(error_size - 1, std::strlen(words));
    std::memcpy(error, words, size);
    error[size] = '\0';
  }
  return code;
}
