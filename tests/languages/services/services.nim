## The task of services_test.cpp in Nim.
import std/[strutils, times]
import sdk/taskhost

type
  Answer = object
    value: string
  Services = object
    fd: TaskhostFd
    polls, ends: int
    execution: Execution

proc `=destroy`(self: var Services) =
  if self.execution.exec != nil: self.execution.info("dropped")

proc descriptor(execution: Execution): TaskhostFd =
  try: parseBiggestInt(execution.configText)
  except ValueError: raise newException(Failure, "not a descriptor")

proc check(kind: typedesc[Services], execution: Execution) = discard execution.descriptor

proc work(self: var Answer) =
  self.value = $(6 * 7)
  if self.value.len == 0: raise newException(ValueError, "no answer")

proc start(self: var Services, execution: Execution) =
  self.fd = execution.descriptor
  try: execution.watch(-1, taskhostReadable)
  except Refusal as refusal:
    if refusal.reason == taskhostRefusedClosed: execution.info("refused")
  for text in ["250ms", "soon"]:
    var duration: Duration
    let isOne = execution.config("").parseDuration(text, duration)
    execution.info(if isOne: $duration.inNanoseconds & " ns" else: "no duration")
  execution.status("working")
  execution.offload(Answer())
  execution.watch(self.fd, taskhostReadable)
  self.execution = execution

proc poll(self: var Services, execution: Execution): Poll =
  inc self.polls
  if self.polls == 1:
    execution.info("again")
    return again
  result = pending
  for ready in execution.takeReady:
    if ready.what == taskhostDone:
      execution.info("answer " & ready.takeBack(Answer).value)
    else:
      execution.info("readable")
      execution.forget(self.fd)
      result = done

proc finish(self: var Services, execution: Execution): Poll =
  inc self.ends
  if self.ends == 1: return pending
  execution.info("finished")
  done

taskhostPlugin(task[Services]("services"))
