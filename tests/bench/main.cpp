// taskhost-bench WORKLOAD [--shards N] | floor WORKLOAD: one JSON line a result.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "bench.hpp"

namespace {

int usage() {
  std::fputs(
      "usage: taskhost-bench w1|w2|w3|w4|w5 [--shards N]\n"
      "       taskhost-bench floor w1|w2|w3|w4|w5\n"
      "Parameters come from the environment: W1_R, W2_N, W3_N, W3_SECS, W4_N, W4_Y, W4_TIMES, W5_N, W5_B.\n",
      stderr);
  return 2;
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    const bench::Plugin plugin;
    if (argument_count == 3 && std::string_view(arguments[1]) == "floor") {
      return bench::run_floor(plugin, arguments[2]) ? 0 : usage();
    }
    unsigned shards = 1;
    if (argument_count == 4 && std::string_view(arguments[2]) == "--shards") {
      shards = static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10));
      if (shards == 0 || shards > 256) return usage();
    } else if (argument_count != 2) {
      return usage();
    }
    return bench::run_host(plugin, arguments[1], shards) ? 0 : usage();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "taskhost-bench: %s\n", error.what());
    return 1;
  }
}
