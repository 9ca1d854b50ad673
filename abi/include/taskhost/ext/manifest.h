/*
 * taskhost/ext/manifest.h: where the manifest is, for plugins whose config names files.
 *
 *   const taskhost_manifest *manifest = (const taskhost_manifest *)exec->services->extension(
 *       exec, TASKHOST_EXTENSION_MANIFEST, TASKHOST_MANIFEST_REVISION);
 *
 * A relative path in a config should count from the manifest's directory, as relative paths in the manifest itself do:
 * the working directory of a service is usually "/". If a host lacks the extension, use the working directory.
 * It is there in check as well; the text is then valid until check returns.
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

  /* [any-thread] The directory of the manifest, or of the included file that has the task: an absolute path,
   * NUL-terminated, without a trailing slash unless it is "/". For tasks of a directory without a manifest, that
   * directory; for tasks of the embedding program, the working directory at the time when the host was created. Owned
   * by the host, valid until drop returns. Never fails. */
  const char *(*directory)(const taskhost_exec *exec);
} taskhost_manifest;

#ifdef __cplusplus
}
#endif

#endif
