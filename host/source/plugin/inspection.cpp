#include "plugin/inspection.hpp"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <vector>

#include "plugin/neighbours.hpp"
#include "text/counted.hpp"
#include "text/printable.hpp"

namespace taskhost {

namespace {

std::string interface_words() { return std::to_string(TASKHOST_ABI_MAJOR) + "."; }

std::size_t align_of(const taskhost_factory& factory) {
  return factory.state_align != 0 ? factory.state_align : alignof(std::max_align_t);
}

std::string neighbour_text(const LibraryContents& contents) {
  std::string text;
  if (const std::vector<std::string> beyond = exported_beyond_entry(contents); !beyond.empty()) {
    text += "  exports more than its entry: " + symbol_words(beyond) + "\n";
  }
  if (!contents.unique.empty()) {
    text += "  shared by the whole process, as defined by the first library loaded:\n";
    for (const std::string& symbol : contents.unique) text += "    " + symbol_words({symbol}) + "\n";
  }
  for (const Dependency& dependency : dependencies_of(contents)) {
    text += "  needs " + printable_path(dependency.name);
    if (!dependency.path.empty()) text += ", found at " + printable_path(dependency.path);
    text += '\n';
  }
  return text;
}

}  // namespace

std::string inspection_text(const PluginLibrary& library) {
  std::string text = printable_path(library.path()) + "\n";
  text += "  plugin '" + printable_path(library.name()) + "', " +
          counted(library.factories().size(), "factory", "factories") + "\n";
  if (library.stays_loaded()) {
    text += "  stays loaded: marked NODELETE, as is usual for libraries with their own runtime\n";
  }
  for (const taskhost_factory& factory : library.factories()) {
    text += "  " + std::string(factory.name);
    if (factory.version != nullptr) text += " " + std::string(factory.version);
    if (factory.description != nullptr) text += ": " + std::string(factory.description);
    text += "\n    " + std::string(factory.poll != nullptr ? "polled" : "blocking") + ", " +
            std::to_string(factory.state_size) + " bytes of state aligned to " + std::to_string(align_of(factory)) +
            ", plugin interface " + interface_words() + std::to_string(factory.required_minor) + " or later" +
            (factory.start == nullptr ? ", no start" : "") + (factory.drop == nullptr ? ", no drop" : "") + "\n";
  }
  return text + neighbour_text(library_contents(library.path()));
}

std::string inspection_json(const PluginLibrary& library) {
  nlohmann::ordered_json factories = nlohmann::ordered_json::array();
  for (const taskhost_factory& factory : library.factories()) {
    nlohmann::ordered_json entry;
    entry["name"] = factory.name;
    if (factory.version != nullptr) entry["version"] = factory.version;
    if (factory.description != nullptr) entry["description"] = factory.description;
    entry["kind"] = factory.poll != nullptr ? "polled" : "blocking";
    entry["state_size"] = factory.state_size;
    entry["state_align"] = align_of(factory);
    entry["required_interface"] = interface_words() + std::to_string(factory.required_minor);
    factories.push_back(std::move(entry));
  }
  const LibraryContents contents = library_contents(library.path());
  nlohmann::ordered_json needs = nlohmann::ordered_json::array();
  for (const Dependency& dependency : dependencies_of(contents)) {
    nlohmann::ordered_json entry{{"name", dependency.name}};
    if (!dependency.path.empty()) entry["path"] = dependency.path;
    needs.push_back(std::move(entry));
  }
  const nlohmann::ordered_json whole{{"path", library.path()},
                                     {"plugin", library.name()},
                                     {"stays_loaded", library.stays_loaded()},
                                     {"factories", factories},
                                     {"exports_beyond_entry", exported_beyond_entry(contents)},
                                     {"unique_symbols", contents.unique},
                                     {"needs", needs}};
  return whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace taskhost
