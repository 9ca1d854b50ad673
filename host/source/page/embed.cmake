# cmake -D OUTPUT=FILE -P embed.cmake: puts style and scripts into page.html, and writes it as the source of
# control/page.hpp.
cmake_minimum_required(VERSION 3.22)

# hash_of(VARIABLE TEXT): as a Content-Security-Policy names it, 'sha256-…' in base64.
function(hash_of variable text)
  set(digits ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  string(SHA256 hash "${text}")
  set(base64 "")
  foreach(at RANGE 0 60 6) # 32 bytes, three at a time, and a zero
    string(SUBSTRING "${hash}0000" ${at} 6 three)
    foreach(shift IN ITEMS 18 12 6 0)
      math(EXPR place "(0x${three} >> ${shift}) & 63")
      string(SUBSTRING "${digits}" ${place} 1 digit)
      string(APPEND base64 "${digit}")
    endforeach()
  endforeach()
  string(SUBSTRING "${base64}" 0 43 base64)
  set(${variable} "'sha256-${base64}='" PARENT_SCOPE)
endfunction()

set(folder "${CMAKE_CURRENT_LIST_DIR}")
file(READ "${folder}/page.html" html)
file(READ "${folder}/page.css" style)
set(script "\"use strict\";\n(() => {\n")
foreach(part IN ITEMS basics host table executions log task graph page)
  file(READ "${folder}/${part}.js" text)
  string(APPEND script "${text}")
endforeach()
string(APPEND script "})();\n")
string(REPLACE "/* page.css */" "${style}" html "${html}")
string(REPLACE "/* scripts */" "${script}" html "${html}")
hash_of(style_hash "${style}")
hash_of(script_hash "${script}")
string(SHA256 tag "${html}")
string(SUBSTRING "${tag}" 0 16 tag)
file(
  WRITE "${OUTPUT}"
  "#include \"control/page.hpp\"\n\nnamespace taskhost {\n\nconst Page page = {\n"
  "    .html = R\"taskhost(${html})taskhost\",\n    .tag = \"\\\"${tag}\\\"\",\n"
  "    .policy = \"default-src 'none'; script-src ${script_hash}; style-src ${style_hash}; connect-src 'self'; \"\n"
  "              \"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\"};\n\n"
  "}  // namespace taskhost\n")
