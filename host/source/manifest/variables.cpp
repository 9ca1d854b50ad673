#include "manifest/variables.hpp"

#include <cstddef>

#include "text/printable.hpp"

namespace taskhost {

namespace {

constexpr std::string_view reference_opening = "${env:";

bool may_begin_name(char byte) noexcept {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}
bool may_be_in_name(char byte) noexcept { return may_begin_name(byte) || is_digit(byte); }

// What stands after "${env:", up to its "}".
struct Reference {
  std::string name;
  std::optional<std::string_view> fallback;
  std::size_t size = 0;  // with the "}"
  std::string problem;
};

Reference wrong_reference(std::string problem) {
  Reference wrong;
  wrong.problem = std::move(problem);
  return wrong;
}

Reference read_reference(std::string_view rest) {
  Reference read;
  std::size_t at = 0;
  while (at < rest.size() && (at == 0 ? may_begin_name(rest[at]) : may_be_in_name(rest[at]))) ++at;
  read.name = rest.substr(0, at);
  const std::size_t end = rest.find('}');
  if (end == std::string_view::npos) {
    return wrong_reference(
        "\"${env:\" has no \"}\"; write ${env:NAME} or ${env:NAME:-default}, or $${env: for these characters");
  }
  const std::string_view after = rest.substr(at, end - at);
  read.size = end + 1;
  const std::string written = "${env:" + std::string(rest.substr(0, end + 1));
  if (read.name.empty()) {
    return wrong_reference("expected the name of an environment variable in " + quoted_text(written) +
                           ", of letters, digits and \"_\"; write ${env:NAME}, or $${env: for these characters");
  }
  if (after.empty()) return read;
  const std::string short_name = printable_text(read.name);
  if (!after.starts_with(":-")) {
    return wrong_reference("expected \"}\" or \":-\" after the name in " + quoted_text(written) +
                           "; write ${env:" + short_name + "} or ${env:" + short_name + ":-default}");
  }
  read.fallback = after.substr(2);
  if (read.fallback->find("${") != std::string_view::npos) {
    return wrong_reference("a default can't have a \"${\" in it, as in " + quoted_text(written) +
                           "; write its text as it is");
  }
  return read;
}

}  // namespace

bool may_have_variables(std::string_view text) noexcept {
  return text.find(reference_opening) != std::string_view::npos;
}

Substitution with_variables(std::string_view text,
                            const std::function<std::optional<std::string>(const std::string& name)>& variable,
                            std::size_t max_bytes) {
  Substitution done;
  std::size_t from = 0;
  for (std::size_t found; (found = text.find(reference_opening, from)) != std::string_view::npos;) {
    std::size_t first = found;
    while (first > from && text[first - 1] == '$') --first;
    const std::size_t dollars = found + 1 - first;
    done.text.append(text.substr(from, first - from)).append(dollars / 2, '$');
    from = found + reference_opening.size();
    if (dollars % 2 == 0) {
      done.text += reference_opening.substr(1);
      continue;
    }
    const Reference reference = read_reference(text.substr(from));
    if (!reference.problem.empty()) return {{}, reference.problem};
    from += reference.size;
    const std::optional<std::string> value = variable(reference.name);
    if (reference.fallback && (!value || value->empty())) {
      done.text += *reference.fallback;
    } else if (!value) {
      return {{},
              "the environment variable " + quoted_text(reference.name) +
                  " is not set; set it, or give a default: ${env:" + printable_text(reference.name) + ":-default}"};
    } else if (!is_utf8(*value)) {
      return {{}, "the value of the environment variable " + quoted_text(reference.name) + " is not UTF-8"};
    } else {
      done.text += *value;
    }
    if (done.text.size() > max_bytes) {
      return {{}, "with its variables, the string is longer than the limit of " + std::to_string(max_bytes) + " bytes"};
    }
  }
  done.text += text.substr(from);
  return done;
}

}  // namespace taskhost
