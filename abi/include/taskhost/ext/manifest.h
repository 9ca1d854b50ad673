/*
 * taskhost/ext/manifest.h: where the manifest lies, for plugins whose config names files.
 *
 *   const taskhost_manifest *manifest = (const taskhost_manifest *)exec->services->extension(
 *       exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION);
 *
 * A relative path in a config counts from the manifest's directory, as relative paths in the manifest itself do: the
 * working directory of a service is mostly "/". Where the extension is missing, it counts from the working directory.
 */
#ifndef TASKHOST_EXT_MANIFEST_H
#define TASKHOST_EXT_MANIFEST_H

#include "../plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TASKHOST_EXTENSION_MANIFEST "taskhost.manifest"
#define TASKHOST_MANIFEST_REVISION 1

typedef struct taskhost_manifest {
  uint32_t struct_size;
  uint32_t revision;

  /* [any-thread] The manifest's directory: an absolute path, NUL-terminated, without a slash at its end unless it is
   * "/". For tasks of a directory without a manifest, that directory; for tasks of the program around the host, the
   * working directory when the host was created. The host's, valid until drop returns. Never fails. */
  const char *(*directory)(const taskhost_exec *exec);
} taskhost_manifest;

#ifdef __cplusplus
}
#endif

#endif
