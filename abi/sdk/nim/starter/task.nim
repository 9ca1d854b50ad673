## @NAME@: greets at an interval, until it is stopped or has greeted "times" times.

import std/times
import sdk/taskhost

type Greeter = object ## One execution; zeroed before its start.
  greeting: string
  ending: string
  every: Duration
  times: int64       # 0: unlimited
  count: int64
  next: HostTime     # time of the next greeting

proc start(self: var Greeter, execution: Execution) =
  let config = execution.config("greeting every times end")
  self.greeting = config.text("/greeting", "hello from Nim")
  self.every = config.duration("/every", initDuration(seconds = 1))
  self.times = config.integer("/times", 0, 0'i64..high(int64))
  self.ending = config.text("/end", "ok")
  if self.ending notin ["ok", "error", "panic"]:
    raise newException(Failure, "config: /end: must be \"ok\", \"error\" or \"panic\"")

# Called by `taskhost check`, and before the host starts: without an execution, so it starts none.
proc check(kind: typedesc[Greeter], execution: Execution) =
  var tried: Greeter
  tried.start(execution)

proc ended(self: Greeter): Poll =
  case self.ending
  of "error": raise newException(Failure, "was told to fail")
  of "panic": raise newException(ValueError, "was told to panic")
  else: done

# Called once after the start, then after each wake: by the timer, by the stop, or for no reason at all.
proc poll(self: var Greeter, execution: Execution): Poll =
  if execution.stopRequested: return done
  let now = execution.now
  if now >= self.next:
    execution.info(self.greeting)
    execution.ready()
    inc self.count
    if self.count == self.times: return self.ended()
    self.next = now + self.every
  execution.wakeAt(self.next)
  pending

taskhostPlugin(task[Greeter]("@NAME@", "1.0", "greets at an interval"))
