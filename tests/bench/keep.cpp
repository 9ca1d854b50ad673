// Puts the table of results into a page, between its two marks, together with the machine and the instruction counts
// that are stored next to the page.
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench.hpp"

namespace bench {

namespace {

constexpr std::string_view begin_mark = "<!-- results: written by ./dev bench --keep -->\n";
constexpr std::string_view end_mark = "<!-- end of results -->\n";

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

std::string conditions() {
  utsname system{};
  ::uname(&system);
  char day[16] = "";
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::strftime(day, sizeof day, "%Y-%m-%d", &parts);
  return std::string(day) + ", " + processor() + ", " + std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) +
         " processors, Linux " + system.release + ", " + compiler() + "\n";
}

std::string instructions(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) return {};
  const auto counts = nlohmann::ordered_json::parse(stream).at("counts");
  std::string text = "\nInstructions per operation\n";
  for (const auto& [name, count] : counts.items()) {
    char line[80];
    std::snprintf(line, sizeof line, "  %-16s %10.1f\n", name.c_str(), count.get<double>());
    text += line;
  }
  return text;
}

}  // namespace

int keep_table(const std::string& results_file, const std::string& page_file) {
  std::ifstream in(page_file);
  std::string page{std::istreambuf_iterator<char>(in), {}};
  const std::size_t begin = page.find(begin_mark);
  const std::size_t end = page.find(end_mark);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    throw std::runtime_error(page_file + " lacks the marks between which the results go");
  }
  const Table table = make_table(results_file);
  const std::string block = "```text\n" + conditions() + table.text +
                            instructions(std::filesystem::path(page_file).parent_path() / "instructions.json") +
                            "```\n";
  page.replace(begin + begin_mark.size(), end - begin - begin_mark.size(), block);
  std::ofstream out(page_file);
  out << page;
  if (!out.flush()) throw std::runtime_error(page_file + " can't be written");
  return table.failed ? 1 : 0;
}

}  // namespace bench
