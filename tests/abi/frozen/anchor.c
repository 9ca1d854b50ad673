/* A library whose functions take everything that the plugin interface consists of, so that tools for libraries can
 * compare it: see tests/abi/anchor. */
#include "taskhost/ext/config.h"
#include "taskhost/ext/manifest.h"
#include "taskhost/ext/signals.h"
#include "taskhost/plugin.h"

#define ANCHOR(type)                               \
  TASKHOST_EXPORT void anchor_##type(type* value); \
  void anchor_##type(type* value) { (void)value; }

ANCHOR(taskhost_factory)
ANCHOR(taskhost_services)
ANCHOR(taskhost_exec)
ANCHOR(taskhost_ready)
ANCHOR(taskhost_work)
ANCHOR(taskhost_waker)
ANCHOR(taskhost_fd)
ANCHOR(taskhost_config_reader)
ANCHOR(taskhost_manifest)
ANCHOR(taskhost_signals)
