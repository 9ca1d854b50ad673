/*
 * taskhost/ext/signals.h: the process's signals as a service. A plugin installs no handler of its own (rule 5.1).
 *
 *   const taskhost_signals *signals = (const taskhost_signals *)exec->services->extension(
 *       exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
 *
 * The extension is NULL if the embedding program handles signals itself, and in check.
 * While an execution is subscribed to INTERRUPT or TERMINATE, the first of them is left to that task and does not stop
 * the host. A second one ends the program at once, whoever has subscribed, unless the executions that got the first one
 * have ended since and the host goes on. Two within a second count as one, unless they come from the terminal.
 * Once any execution has subscribed to a signal, the host keeps it: HANGUP, USER1 and USER2 then do nothing while no
 * execution is subscribed to them. A HANGUP that nobody has ever subscribed to stops the host in order if the terminal
 * was closed; sent by a process it is kept for reloading, and does not stop the host.
 */
#ifndef TASKHOST_EXT_SIGNALS_H
#define TASKHOST_EXT_SIGNALS_H

#include "../plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TASKHOST_EXTENSION_SIGNALS "taskhost.signals"
#define TASKHOST_SIGNALS_REVISION 1

#define TASKHOST_SIGNAL_INTERRUPT 1u /* SIGINT */
#define TASKHOST_SIGNAL_TERMINATE 2u /* SIGTERM */
#define TASKHOST_SIGNAL_HANGUP 4u    /* SIGHUP */
#define TASKHOST_SIGNAL_USER1 8u     /* SIGUSR1 */
#define TASKHOST_SIGNAL_USER2 16u    /* SIGUSR2 */

typedef struct taskhost_signals {
  uint32_t struct_size;
  uint32_t revision;

  /* [execution] Subscribes this execution to signals (TASKHOST_SIGNAL_* bits), which then wake it. A further call
   * replaces the subscription; 0 ends it, as does the execution's end. Returns TASKHOST_OK, or TASKHOST_ERROR for a bit
   * that this revision does not know. */
  int32_t (*subscribe)(const taskhost_exec *exec, uint32_t signals);

  /* [execution] The signals that have come since the last call, as bits; repeated ones merge. Only those that this
   * execution has subscribed to: a fresh execution begins with none. */
  uint32_t (*take)(const taskhost_exec *exec);
} taskhost_signals;

#ifdef __cplusplus
}
#endif

#endif
