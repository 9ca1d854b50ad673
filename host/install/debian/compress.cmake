# What Debian wants to be compressed, in the tree that a package is made of.
set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share")
file(GLOB files "${root}/man/man?/*.[1-8]" "${root}/doc/*/changelog" "${root}/doc/*/changelog.Debian")
if(files)
  execute_process(COMMAND gzip -9nf ${files} COMMAND_ERROR_IS_FATAL ANY)
endif()
