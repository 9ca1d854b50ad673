#include "manifest/manifest.hpp"
#include "text/printable.hpp"

namespace taskhost {

// "manifest.json: /tasks/3/type (line 12): unknown task type …"; unknown parts are left out.
std::string Fault::text() const {
  std::string place = where;
  if (line != 0) {
    const std::string line_words = "line " + std::to_string(line);
    place = where.empty() ? line_words : where + " (" + line_words + ')';
  }
  std::string words;
  for (const std::string& part : {printable_path(file), place}) {  // kept to one line, whatever the file is called
    words += part.empty() ? "" : part + ": ";
  }
  return words + message;
}

}  // namespace taskhost
