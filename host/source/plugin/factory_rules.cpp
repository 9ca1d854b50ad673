#include "plugin/factory_rules.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "text/printable.hpp"

namespace taskhost {

namespace {

// The struct's size in version 1.0; later versions only append. A plugin's struct may be longer than ours.
constexpr std::size_t first_version_size = offsetof(taskhost_factory, next) + sizeof(void*);
constexpr std::size_t max_factory_name_bytes = 128;
constexpr std::size_t max_version_bytes = 64;
constexpr std::size_t max_description_bytes = 1024;

std::string rule(std::string_view number, const std::string& words) {
  return words + " (rule " + std::string(number) + ")";
}

// Never reads more than limit + 1 bytes.
std::string text_problem(const char* text, std::size_t limit) {
  const void* end = std::memchr(text, '\0', limit + 1);
  if (end == nullptr) return "is longer than " + std::to_string(limit) + " bytes, or does not end";
  const std::string_view view(text);
  for (std::size_t i = 0; i < view.size();) {
    const std::size_t size = character_size(view, i);
    if (size == 0) return "is not UTF-8: " + quoted_text(view);
    i += size;
  }
  if (has_control_character(view)) return "has control characters: " + quoted_text(view);
  return {};
}

std::string texts_problem(const taskhost_factory& factory) {
  if (factory.name == nullptr) return rule("2.3", "a factory's name is NULL");
  if (const auto problem = text_problem(factory.name, max_factory_name_bytes); !problem.empty()) {
    return rule("2.3", "a factory's name " + problem);
  }
  if (*factory.name == '\0') return rule("2.3", "a factory's name is empty");
  const std::string whose = "factory " + quoted_text(factory.name);
  if (factory.version != nullptr) {
    if (const auto problem = text_problem(factory.version, max_version_bytes); !problem.empty()) {
      return rule("2.4", whose + ": the version " + problem);
    }
  }
  if (factory.description != nullptr) {
    if (const auto problem = text_problem(factory.description, max_description_bytes); !problem.empty()) {
      return rule("2.4", whose + ": the description " + problem);
    }
  }
  return {};
}

std::string numbers_problem(const taskhost_factory& factory) {
  const std::string whose = "factory " + quoted_text(factory.name) + ": ";
  if (factory.state_size > max_state_size) {
    return rule("2.5", whose + "state_size is " + std::to_string(factory.state_size) + ", more than " +
                           std::to_string(max_state_size) + " bytes");
  }
  if (factory.state_align != 0 &&
      (!std::has_single_bit(factory.state_align) || factory.state_align > max_state_align)) {
    return rule("2.6", whose + "state_align is " + std::to_string(factory.state_align) + ", not a power of two up to " +
                           std::to_string(max_state_align));
  }
  if ((factory.poll == nullptr) == (factory.run == nullptr)) {
    return rule("2.7", whose + (factory.poll == nullptr ? "neither poll nor run is set" : "both poll and run are set") +
                           "; exactly one must be");
  }
  if (factory.finish != nullptr && factory.poll == nullptr) {
    return rule("2.7", whose + "finish is set beside run; run itself takes the time that its end needs");
  }
  if (factory.flags != 0 || factory.reserved != 0) {
    return rule("2.8", whose + (factory.flags != 0 ? "flags" : "reserved") + " is not 0");
  }
  return {};
}

std::optional<taskhost_factory> copy_checked(const taskhost_factory& factory, std::string& problem) {
  const std::size_t size = factory.struct_size;
  if (size < first_version_size || size > max_struct_size) {
    problem =
        rule("2.1", "struct_size is " + std::to_string(size) + ", not between " + std::to_string(first_version_size) +
                        " and " + std::to_string(max_struct_size) + ": set it to sizeof(taskhost_factory)");
    return std::nullopt;
  }
  if (factory.required_minor > TASKHOST_ABI_MINOR) {
    problem = rule("2.2", "it requires version " + std::to_string(TASKHOST_ABI_MAJOR) + "." +
                              std::to_string(factory.required_minor) + " of the plugin interface; this host has " +
                              std::to_string(TASKHOST_ABI_MAJOR) + "." + std::to_string(TASKHOST_ABI_MINOR) +
                              ": use a newer host, or set required_minor to what the plugin really needs");
    return std::nullopt;
  }
  taskhost_factory copy{};
  std::memcpy(&copy, &factory, std::min(size, sizeof copy));
  problem = texts_problem(copy);
  if (problem.empty()) problem = numbers_problem(copy);
  if (!problem.empty()) return std::nullopt;
  return copy;
}

}  // namespace

FactoryReading read_factory(const taskhost_factory& factory) {
  FactoryReading reading;
  if (const auto copy = copy_checked(factory, reading.problem)) reading.factories.push_back(*copy);
  return reading;
}

FactoryReading read_factories(const taskhost_factory* first) {
  FactoryReading reading;
  if (first == nullptr) {
    reading.problem = rule("1.2", std::string(TASKHOST_ENTRY_NAME) + " returned NULL");
    return reading;
  }
  std::unordered_set<std::string_view> names;
  for (const taskhost_factory* factory = first; factory != nullptr; factory = reading.factories.back().next) {
    if (reading.factories.size() == max_factories) {
      reading.problem = rule("2.10", "the chain of factories does not end within " + std::to_string(max_factories));
      break;
    }
    const auto copy = copy_checked(*factory, reading.problem);
    if (!copy) break;
    // A chain that forms a loop shows up as a repeated name, as do two factories of one name; tell them apart.
    if (!names.insert(copy->name).second) {
      const auto& read = reading.factories;  // the last one led here; if an earlier one did too, it is a loop
      const bool loop =
          factory == first || std::any_of(read.begin(), read.end() - 1,
                                          [&](const taskhost_factory& other) { return other.next == factory; });
      reading.problem = loop ? rule("2.10", "the chain of factories loops back to " + quoted_text(copy->name))
                             : rule("2.9", "two factories are named " + quoted_text(copy->name));
      break;
    }
    reading.factories.push_back(*copy);
  }
  if (!reading.problem.empty()) reading.factories.clear();
  return reading;
}

}  // namespace taskhost
