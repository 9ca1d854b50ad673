#include "manifest/worker_fields.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>

#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::uint32_t most = 1'000'000'000;

// "256MiB".
std::optional<std::uint64_t> parse_size(std::string_view text) {
  struct Unit {
    std::string_view name;
    unsigned shift;
  };
  constexpr std::array<Unit, 3> units{Unit{"KiB", 10}, Unit{"MiB", 20}, Unit{"GiB", 30}};
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.name)) continue;
    const std::string_view digits = text.substr(0, text.size() - unit.name.size());
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool is_whole = error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
    if (!is_whole || number > (std::numeric_limits<std::uint64_t>::max() / 2) >> unit.shift) return std::nullopt;
    return number << unit.shift;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> read_memory(const ManifestNode& node, const std::string& pointer, ManifestFaults& faults) {
  std::optional<std::uint64_t> size;
  if (node.kind == NodeKind::string) size = parse_size(node.text);
  if (size && *size >= min_worker_memory) return size;
  faults.add(
      node.offset, pointer,
      size ? "a worker needs at least \"64MiB\", since the stacks of its threads count, found " + quoted_text(node.text)
           : "expected a size such as \"256MiB\" or \"2GiB\" (a whole number and KiB, MiB or GiB), found " +
                 found_words(node));
  return std::nullopt;
}

}  // namespace

std::optional<GivenLimits> read_limits(const FieldReader& fields, ManifestFaults& faults) {
  const ManifestNode* const limits = fields.find("limits");
  const ManifestNode* const user = fields.find("user");
  const ManifestNode* const process = fields.find("process");
  if (limits == nullptr && user == nullptr && process == nullptr) return std::nullopt;
  GivenLimits given;
  given.field = limits != nullptr ? "limits" : user != nullptr ? "user" : "process";
  given.offset = (limits != nullptr ? limits : user != nullptr ? user : process)->key_offset;
  if (process != nullptr) given.limits.process = fields.text("process", max_name_bytes).value_or("");
  if (user != nullptr) given.limits.user = fields.text("user", max_name_bytes).value_or("");
  if (limits == nullptr) return given;
  const std::string pointer = fields.pointer_to("limits");
  const FieldReader inner(*limits, pointer, ManifestObject::limits, faults);
  if (!inner.is_object()) return given;
  if (const ManifestNode* const memory = inner.find("memory")) {
    given.limits.memory = read_memory(*memory, inner.pointer_to("memory"), faults);
  }
  if (const ManifestNode* const files = inner.find("open_files")) {
    given.limits.open_files = read_whole_number(*files, inner.pointer_to("open_files"), min_worker_files, most, faults);
  }
  if (const ManifestNode* const processes = inner.find("processes")) {
    given.limits.processes =
        read_whole_number(*processes, inner.pointer_to("processes"), min_worker_processes, most, faults);
  }
  if (const ManifestNode* const core = inner.find("core_dump")) {
    if (expect_kind(*core, NodeKind::boolean, inner.pointer_to("core_dump"), faults)) {
      given.limits.core_dump = core->text == "true";
    }
  }
  return given;
}

WorkerLimits with_default_limits(WorkerLimits limits, const WorkerLimits& defaults) {
  if (!limits.memory) limits.memory = defaults.memory;
  if (!limits.open_files) limits.open_files = defaults.open_files;
  if (!limits.processes) limits.processes = defaults.processes;
  if (!limits.core_dump) limits.core_dump = defaults.core_dump;
  if (limits.user.empty()) limits.user = defaults.user;
  return limits;
}

}  // namespace taskhost
