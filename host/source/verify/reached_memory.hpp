// What an execution's state reaches, to tell work from polls that do nothing: the state, the library's variables, the
// blocks of malloc that pointers in all of these lead to, and the positions in open files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace taskhost::verify {

class SimulatedHost;

// A digest: the same as long as nothing changes there; nothing if that is too much to look at. `code`: an address in
// the library.
std::optional<std::uint64_t> digest_of_reached(const void* state, std::size_t size, const void* code,
                                               const SimulatedHost& host);

}  // namespace taskhost::verify
