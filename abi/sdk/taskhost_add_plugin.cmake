# taskhost_add_plugin(NAME source...): NAME.so from C or C++, which exports nothing but its entry, wherever that is: also in
# a static library that NAME links. It links taskhost::sdk_cpp, whose headers include the interface for C; NAME is a target
# like any other, to which the project adds libraries, definitions and a standard.
function(taskhost_add_plugin name)
  set(map "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map")
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE taskhost::sdk_cpp)
  target_link_options(${name} PRIVATE "LINKER:--version-script=${map}" "LINKER:--undefined=taskhost_plugin_v1")
  set_target_properties(
    ${name}
    PROPERTIES PREFIX ""
               SUFFIX .so
               LINK_DEPENDS "${map}"
               C_VISIBILITY_PRESET hidden
               CXX_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON)
  # Manifests name the file: what a project adds to its libraries' names (CMAKE_DEBUG_POSTFIX) is not for plugins.
  foreach(configuration IN LISTS CMAKE_CONFIGURATION_TYPES CMAKE_BUILD_TYPE)
    string(TOUPPER "${configuration}" configuration)
    set_property(TARGET ${name} PROPERTY ${configuration}_POSTFIX "")
  endforeach()
endfunction()
