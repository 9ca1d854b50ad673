# cmake -D SDK=abi/sdk -D OUTPUT=FILE -P starter_files.cmake: writes starter_files.cpp, all that
# `taskhost new` can write, as text.
cmake_minimum_required(VERSION 3.22)
file(STRINGS "${SDK}/languages.txt" table REGEX "^[a-z]")
set(languages "")
set(files "")
foreach(row IN LISTS table)
  string(REGEX MATCHALL "[^ ]+" columns "${row}")
  list(POP_FRONT columns id commands packages panics title)
  if(NOT EXISTS "${SDK}/${id}/starter.txt")
    continue()
  endif()
  string(REPLACE "_" " " title "${title}")
  string(APPEND languages "    {\"${id}\", \"${title}\", \"${commands}\", \"${packages}\"},\n")
  file(STRINGS "${SDK}/${id}/starter.txt" lines REGEX "^[^#]")
  foreach(line IN LISTS lines)
    string(REGEX MATCHALL "[^ ]+" pair "${line}")
    list(POP_FRONT pair source destination)
    file(READ "${SDK}/${id}/${source}" text)
    string(APPEND files "    {\"${id}\", \"${destination}\", R\"taskhost(${text})taskhost\"},\n")
  endforeach()
endforeach()
file(
  WRITE "${OUTPUT}"
  "#include \"program/new_command.hpp\"\n\nnamespace taskhost {\n\nnamespace {\n\nconstexpr Language languages[] = {\n${languages}};\n\n"
  "constexpr StarterFile files[] = {\n${files}};\n\n}  // namespace\n\n"
  "std::span<const Language> starter_languages() { return languages; }\n"
  "std::span<const StarterFile> starter_files() { return files; }\n\n}  // namespace taskhost\n")
