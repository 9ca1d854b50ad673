// Turns result lines into a table for people: for each figure the median of the repetitions, their spread, the ratio to
// the floor of the same run, and the target.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "bench.hpp"
#include "metrics.hpp"

namespace bench {

namespace {

using Json = nlohmann::json;

struct Results {
  std::vector<std::string> peers;                                         // ours first, then in order of appearance
  std::map<std::pair<std::string, std::string>, std::vector<Json>> runs;  // by workload and peer
};

Results read_results(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " can't be read");
  Results results;
  results.peers = {"floor", "taskhost", "taskhost-2", "asio"};
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty()) continue;
    Json run = Json::parse(line, nullptr, false);
    if (!run.is_object() || !run.contains("peer") || !run.contains("workload")) {
      throw std::runtime_error(path + ", line " + std::to_string(number) + ": no result");
    }
    const std::string peer = run.at("peer");
    if (std::find(results.peers.begin(), results.peers.end(), peer) == results.peers.end()) {
      results.peers.push_back(peer);
    }
    const std::string workload = run.at("workload");
    results.runs[{workload, peer}].push_back(std::move(run));
  }
  return results;
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[160];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

// Three digits and a unit.
std::string scaled(double value, const char* unit) {
  const int digits = std::abs(value) >= 100 ? 0 : std::abs(value) >= 10 ? 1 : 2;
  return format("%.*f%s", digits, value, unit);
}

std::string text_of(double value, Unit unit) {
  const double size = std::abs(value);
  switch (unit) {
    case Unit::rate:
      if (size >= 1e6) return scaled(value / 1e6, " M");
      if (size >= 1e3) return scaled(value / 1e3, " k");
      return scaled(value, "");
    case Unit::seconds:
      if (size >= 1) return scaled(value, " s");
      return scaled(value * 1e3, " ms");
    case Unit::milliseconds:
      return scaled(value, " ms");
    case Unit::microseconds:
      if (size >= 1e4) return scaled(value / 1e3, " ms");
      return format("%.0f us", value);
    case Unit::nanoseconds:
      if (size >= 1e4) return scaled(value / 1e3, " us");
      return format("%.0f ns", value);
    case Unit::bytes:
      return format("%.0f B", value);
    case Unit::ratio:
      return format("%.2f", value);
    case Unit::plain:
      return format("%.0f", value);
  }
  return {};
}

std::vector<double> values_of(const Results& results, const Metric& metric, const std::string& peer) {
  std::vector<double> values;
  const auto found = results.runs.find({std::string(metric.workload), peer});
  if (found == results.runs.end()) return values;
  for (const Json& run : found->second) {
    const auto value = run.find(metric.key);
    if (!run.contains("failed") && value != run.end() && value->is_number()) values.push_back(value->get<double>());
  }
  return values;
}

std::optional<double> median_of(const Results& results, const Metric& metric, const std::string& peer) {
  const std::vector<double> values = values_of(results, metric, peer);
  if (values.empty()) return std::nullopt;
  return median(values);
}

std::string verdict(bool met) { return met ? ", met" : ", MISSED"; }

// The target for this peer, and whether it is met.
std::string target(const Results& results, const Metric& metric, const std::string& peer, double value) {
  const char* sign = metric.more_is_better ? ">=" : "<=";
  const auto keeps = [&metric](double reached, double bound) {
    return metric.more_is_better ? reached >= bound : reached <= bound;
  };
  if (peer == "taskhost-2") {
    const std::optional<double> one = median_of(results, metric, "taskhost");
    if (!one || *one == 0 || value == 0 || metric.shards_gain == 0) return {};
    const double gain = metric.more_is_better ? value / *one : *one / value;
    return format("%.2f x one shard, >= %.2f", gain, metric.shards_gain) + verdict(gain >= metric.shards_gain);
  }
  if (peer != "taskhost") return {};
  const std::optional<double> floor = median_of(results, metric, "floor");
  switch (metric.aim) {
    case Aim::none:
      return {};
    case Aim::times_floor:
      if (!floor) return format("%s %.2f of the floor, not measured", sign, metric.bound);
      return format("%s %.2f", sign, metric.bound) + verdict(keeps(value / *floor, metric.bound));
    case Aim::beyond_floor: {
      const std::string bound = text_of(metric.bound, metric.unit);
      if (!floor) return format("%s the floor's + %s, not measured", sign, bound.c_str());
      return format("%s the floor's + %s", sign, bound.c_str()) + verdict(keeps(value - *floor, metric.bound));
    }
    case Aim::absolute:
      return format("%s %s", sign, text_of(metric.bound, metric.unit).c_str()) + verdict(keeps(value, metric.bound));
  }
  return {};
}

std::string rows_of(const Results& results, const Metric& metric) {
  std::string rows;
  const std::optional<double> floor = median_of(results, metric, "floor");
  for (const std::string& peer : results.peers) {
    const std::vector<double> values = values_of(results, metric, peer);
    if (values.empty()) continue;
    if (rows.empty()) {
      rows = "\n" + std::string(metric.title) + "\n";
      rows += format("  %-16s %10s  %-21s %8s  %s\n", "", "median", "min .. max", floor ? "of floor" : "", "target");
    }
    const double value = median(values);
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const std::string spread =
        values.size() == 1 ? "one run" : text_of(*least, metric.unit) + " .. " + text_of(*most, metric.unit);
    const std::string ratio = floor && *floor != 0 ? format("%.2f", value / *floor) : "";
    std::string line = format("  %-16.16s %10s  %-21s %8s  %s", peer.c_str(), text_of(value, metric.unit).c_str(),
                              spread.c_str(), ratio.c_str(), target(results, metric, peer, value).c_str());
    line.erase(line.find_last_not_of(' ') + 1);
    rows += line + "\n";
  }
  return rows;
}

// What the figures do not show.
std::string troubles_of(const Results& results, bool& failed) {
  std::vector<std::string> wrong;
  std::vector<std::string> disturbed;
  for (const auto& [place, runs] : results.runs) {
    const std::string name = place.second + " " + place.first;
    int busy = 0;
    for (const Json& run : runs) {
      if (run.contains("failed")) wrong.push_back(name + ": " + run.at("failed").get<std::string>());
      if (!run.value("exact", true)) wrong.push_back(name + ": the number of restarts is not exact");
      if (!run.value("complete", true)) wrong.push_back(name + ": the stream of events is not complete");
      if (run.value("length_s", 0.0) > .3 && run.value("other_cpu", 0.0) > .25) ++busy;
    }
    if (busy != 0) disturbed.push_back(format("%s (%d of %zu)", name.c_str(), busy, runs.size()));
  }
  failed = !wrong.empty();
  std::string lines = failed ? "\nFAILED:\n" : "";
  for (const std::string& text : wrong) lines += "  " + text + "\n";
  if (!disturbed.empty()) {
    lines += "\nMeasured while something else used more than a quarter of a processor, so not worth much:\n ";
    std::size_t column = 1;
    for (const std::string& text : disturbed) {
      if (column + text.size() + 2 > 98) {
        lines += "\n ";
        column = 1;
      }
      lines += " " + text + (&text == &disturbed.back() ? "" : ",");
      column += text.size() + 2;
    }
    lines += "\n";
  }
  return lines;
}

}  // namespace

Table make_table(const std::string& results_file) {
  const Results results = read_results(results_file);
  if (results.runs.empty()) throw std::runtime_error(results_file + " holds no results");
  Table table;
  for (const Metric& metric : metrics) table.text += rows_of(results, metric);
  table.text += troubles_of(results, table.failed);
  return table;
}

}  // namespace bench
