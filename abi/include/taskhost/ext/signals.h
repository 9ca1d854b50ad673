/*
 * taskhost/ext/signals.h: the process's signals as a service. A plugin installs no handler of its own (rule 5.1).
 *
 *   const taskhost_signals *signals = (const taskhost_signals *)exec->services->extension(
 *       exec, TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
 *
 * NULL where the program around the host keeps its signals to itself.
 * While an execution subscribes to INTERRUPT or TERMINATE, the first of them is that task's business and the host does
 * not stop because of it; a second one ends the program at once, whoever subscribed, unless the executions that got the
 * first have ended since and the host goes on. Two within a second are one, but for a terminal's.
 * A signal that any execution has subscribed to stays the host's: HANGUP, USER1 and USER2 do nothing while no execution
 * subscribes to them. HANGUP that none ever wanted stops the host in order.
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

  /* [execution] This execution wants to be woken by these signals (TASKHOST_SIGNAL_* bits); replaces an earlier call;
   * 0 ends it, as the execution's end does. TASKHOST_OK, or TASKHOST_ERROR for a bit this revision does not know. */
  int32_t (*subscribe)(const taskhost_exec *exec, uint32_t signals);

  /* [execution] Those that have come since the last call, as bits; repeated ones merge. Only those of this execution's
   * own subscription: a fresh execution begins with none. */
  uint32_t (*take)(const taskhost_exec *exec);
} taskhost_signals;

#ifdef __cplusplus
}
#endif

#endif
