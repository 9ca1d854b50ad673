## taskhost.nim: write a task plugin as a Nim object. One file to copy; Nim 1.6 and later.
##
## .. code-block:: nim
##   import std/times
##   import taskhost
##
##   type Beat = object
##     count: int
##
##   proc start(self: var Beat, execution: Execution) = discard          # may raise
##
##   proc poll(self: var Beat, execution: Execution): Poll =             # or: proc run(self: var Beat, execution: ...),
##     if execution.stopRequested: return done                           # which may block
##     inc self.count
##     execution.info("beat " & $self.count)
##     execution.wakeAfter(initDuration(seconds = 1))
##     pending
##
##   taskhostPlugin(task[Beat]("beat"))
##
## Each object is one execution. It is in the host's memory, zeroed before `start` and destroyed at the drop. No
## exception leaves the plugin: a Failure is the outcome `error`, any other, including a Defect, is `panic` with its
## message.
##
## The file declares the interface of the C headers, which document each function (taskhost/plugin.h, ext/config.h,
## ext/signals.h); the API for tasks follows. Rule numbers are those of CONTRACT.md. Threads: [execution] only from this
## execution's own start, poll, run or finish; [any-thread] on any thread until its drop; [anywhere] on any thread at
## any time.

import std/times

when not defined(gcArc):
  {.error: "compile with --mm:arc: an execution is called on different threads, which other collectors do not bear".}
when not compileOption("threads"):
  {.error: "compile with --threads:on: what the runtime keeps for an exception must be each thread's own".}
when not defined(useMalloc):
  {.error: "compile with -d:useMalloc: memory is freed on another thread than the one it was taken on".}
when not defined(noSignalHandler):
  {.error: "compile with -d:noSignalHandler: signals are the host's (rule 5.1)".}
when defined(nimPanics):
  {.error: "compile with --panics:off: a Defect would end the process, and with it all tasks (rule 3.8)".}

# ---- taskhost/plugin.h

const
  taskhostAbiMajor* = 1
  taskhostAbiMinor* = 0
  taskhostEntryName* = "taskhost_plugin_v1"

  taskhostOk* = 0'i32
  taskhostPending* = 1'i32
  taskhostError* = 2'i32
  taskhostPanic* = 3'i32
  taskhostAgain* = 4'i32

  taskhostRefusedCall* = 16'i32
  taskhostRefusedArgument* = 17'i32
  taskhostRefusedClosed* = 18'i32
  taskhostRefusedAlways* = 19'i32
  taskhostRefusedLoop* = 20'i32
  taskhostRefusedDescriptors* = 21'i32
  taskhostRefusedMemory* = 22'i32
  taskhostRefusedThreads* = 23'i32
  taskhostRefusedWatchers* = 24'i32

  taskhostLogTrace* = 0'i32
  taskhostLogDebug* = 1'i32
  taskhostLogInfo* = 2'i32
  taskhostLogWarning* = 3'i32
  taskhostLogError* = 4'i32

  taskhostReadable* = 1'u32
  taskhostWritable* = 2'u32
  taskhostBroken* = 4'u32
  taskhostDone* = 8'u32

  taskhostWaitStop* = 1'u32
  taskhostWaitWake* = 2'u32
  taskhostWaitTime* = 4'u32

  taskhostMicrosecond* = 1_000'u64
  taskhostMillisecond* = 1_000_000'u64
  taskhostSecond* = 1_000_000_000'u64
  taskhostNever* = high(uint64)

{.pragma: abi, cdecl, gcsafe, raises: [].}

type
  TaskhostWaker* = uint64
  TaskhostFd* = int64

  TaskhostReady* {.bycopy.} = object
    tag*: uint64
    what*: uint32
    reserved*: uint32

  TaskhostWork* {.bycopy.} = object
    structSize*: uint32
    reserved*: uint32
    tag*: uint64
    argument*: pointer
    run*: proc (argument: pointer) {.abi.}
    discardIt*: proc (argument: pointer) {.abi.} # `discard` in C

  TaskhostExec* {.bycopy.} = object
    services*: ptr TaskhostServices # further fields are private to the host

  TaskhostServices* {.bycopy.} = object
    structSize*: uint32
    abiMinor*: uint32
    log*: proc (exec: ptr TaskhostExec, level: int32, text: cstring, size: csize_t) {.abi.}
    fail*: proc (exec: ptr TaskhostExec, text: cstring, size: csize_t): int32 {.abi.}
    config*: proc (exec: ptr TaskhostExec, size: ptr csize_t): cstring {.abi.}
    taskName*: proc (exec: ptr TaskhostExec): cstring {.abi.}
    executionNumber*: proc (exec: ptr TaskhostExec): uint64 {.abi.}
    stopRequested*: proc (exec: ptr TaskhostExec): int32 {.abi.}
    now*: proc (): uint64 {.abi.}
    waker*: proc (exec: ptr TaskhostExec): TaskhostWaker {.abi.}
    wake*: proc (waker: TaskhostWaker) {.abi.}
    wakeAt*: proc (exec: ptr TaskhostExec, time: uint64) {.abi.}
    wakeAfter*: proc (exec: ptr TaskhostExec, delay: uint64) {.abi.}
    watch*: proc (exec: ptr TaskhostExec, fd: TaskhostFd, interests: uint32, tag: uint64): int32 {.abi.}
    takeReady*: proc (exec: ptr TaskhostExec, list: ptr TaskhostReady, capacity: csize_t): csize_t {.abi.}
    offload*: proc (exec: ptr TaskhostExec, work: ptr TaskhostWork): int32 {.abi.}
    wait*: proc (exec: ptr TaskhostExec, time: uint64): uint32 {.abi.}
    waitFd*: proc (exec: ptr TaskhostExec): TaskhostFd {.abi.}
    ready*: proc (exec: ptr TaskhostExec) {.abi.}
    heartbeat*: proc (exec: ptr TaskhostExec) {.abi.}
    status*: proc (exec: ptr TaskhostExec, text: cstring, size: csize_t) {.abi.}
    extension*: proc (exec: ptr TaskhostExec, id: cstring, revision: uint32): pointer {.abi.}

  TaskhostFactory* {.bycopy.} = object
    structSize*: uint32
    requiredMinor*: uint32
    name*: cstring
    version*: cstring
    description*: cstring
    stateSize*: csize_t
    stateAlign*: csize_t
    flags*: uint32
    reserved*: uint32
    start*: proc (state: pointer, exec: ptr TaskhostExec): int32 {.abi.}
    poll*: proc (state: pointer, exec: ptr TaskhostExec): int32 {.abi.}
    run*: proc (state: pointer, exec: ptr TaskhostExec): int32 {.abi.}
    finish*: proc (state: pointer, exec: ptr TaskhostExec): int32 {.abi.}
    drop*: proc (state: pointer, exec: ptr TaskhostExec) {.abi.}
    check*: proc (exec: ptr TaskhostExec): int32 {.abi.}
    next*: ptr TaskhostFactory

# ---- taskhost/ext/config.h and taskhost/ext/signals.h

const
  taskhostExtensionConfig* = "taskhost.config"
  taskhostConfigRevision* = 1'u32
  taskhostExtensionSignals* = "taskhost.signals"
  taskhostSignalsRevision* = 1'u32

  taskhostSignalInterrupt* = 1'u32
  taskhostSignalTerminate* = 2'u32
  taskhostSignalHangup* = 4'u32
  taskhostSignalUser1* = 8'u32
  taskhostSignalUser2* = 16'u32

type
  TaskhostConfigReader* {.bycopy.} = object
    structSize*: uint32
    revision*: uint32
    keys*: proc (exec: ptr TaskhostExec, keys: cstring): int32 {.abi.}
    require*: proc (exec: ptr TaskhostExec, pointer: cstring): int32 {.abi.}
    text*: proc (exec: ptr TaskhostExec, pointer: cstring, value: ptr cstring, size: ptr csize_t): int32 {.abi.}
    integer*: proc (exec: ptr TaskhostExec, pointer: cstring, least, most: int64, value: ptr int64): int32 {.abi.}
    number*: proc (exec: ptr TaskhostExec, pointer: cstring, value: ptr cdouble): int32 {.abi.}
    boolean*: proc (exec: ptr TaskhostExec, pointer: cstring, value: ptr int32): int32 {.abi.}
    duration*: proc (exec: ptr TaskhostExec, pointer: cstring, value: ptr uint64): int32 {.abi.}
    count*: proc (exec: ptr TaskhostExec, pointer: cstring, value: ptr csize_t): int32 {.abi.}
    parseDuration*: proc (text: cstring, size: csize_t, value: ptr uint64): int32 {.abi.}

  TaskhostSignals* {.bycopy.} = object
    structSize*: uint32
    revision*: uint32
    subscribe*: proc (exec: ptr TaskhostExec, signals: uint32): int32 {.abi.}
    take*: proc (exec: ptr TaskhostExec): uint32 {.abi.}

when sizeof(pointer) == 8:
  static:
    doAssert sizeof(TaskhostExec) == 8
    doAssert offsetOf(TaskhostServices, log) == 8 and offsetOf(TaskhostServices, now) == 56
    doAssert offsetOf(TaskhostServices, watch) == 96 and offsetOf(TaskhostServices, waitFd) == 128
    doAssert offsetOf(TaskhostServices, extension) == 160 and sizeof(TaskhostServices) == 168
    doAssert offsetOf(TaskhostReady, what) == 8 and sizeof(TaskhostReady) == 16
    doAssert offsetOf(TaskhostWork, tag) == 8 and offsetOf(TaskhostWork, run) == 24 and sizeof(TaskhostWork) == 40
    doAssert offsetOf(TaskhostFactory, name) == 8 and offsetOf(TaskhostFactory, stateSize) == 32
    doAssert offsetOf(TaskhostFactory, flags) == 48 and offsetOf(TaskhostFactory, start) == 56
    doAssert offsetOf(TaskhostFactory, finish) == 80 and offsetOf(TaskhostFactory, check) == 96
    doAssert offsetOf(TaskhostFactory, next) == 104 and sizeof(TaskhostFactory) == 112
    doAssert offsetOf(TaskhostConfigReader, keys) == 8 and offsetOf(TaskhostConfigReader, count) == 64
    doAssert sizeof(TaskhostConfigReader) == 80
    doAssert offsetOf(TaskhostSignals, take) == 16 and sizeof(TaskhostSignals) == 24

# ---- the API for tasks

type
  Execution* = object
    ## An execution's view of its host. It wraps a pointer: copy it freely, use it until the drop.
    exec*: ptr TaskhostExec

  Poll* = enum ## The result of a poll; to fail, raise an exception.
    done, pending,
    again ## Not done; to be polled again after all others that are due.

  Failure* = object of CatchableError
    ## An expected failure: raised anywhere in a task, it ends the execution with the outcome `error`.
  ReportedFailure = object of Failure # the host already has the text
  Refusal* = object of Failure
    ## The host does not do what it was asked for, and has logged why.
    reason*: int32 ## one of taskhostRefused…

  HostTime* = distinct uint64 ## Nanoseconds of the host's clock, from an arbitrary point.

  Waker* = object
    ## Wakes one execution. [anywhere] A value to copy; after the execution's end it does nothing.
    services: ptr TaskhostServices # lives as long as the process
    value: TaskhostWaker

  Waited* = distinct uint32 ## The reasons why a wait ended.

  Config* = object ## The values of a config, read by the host.
    exec: ptr TaskhostExec
    reader: ptr TaskhostConfigReader

const never* = HostTime(taskhostNever)

proc `<`*(a, b: HostTime): bool {.borrow.}
proc `<=`*(a, b: HostTime): bool {.borrow.}
proc `==`*(a, b: HostTime): bool {.borrow.}

func nanoseconds(duration: Duration): uint64 =
  if duration.inSeconds >= 9_000_000_000: taskhostNever # inNanoseconds would overflow
  else: uint64(max(duration.inNanoseconds, 0))

func `+`*(time: HostTime, delay: Duration): HostTime =
  let more = delay.nanoseconds
  if more < taskhostNever - uint64(time): HostTime(uint64(time) + more) else: never

func `-`*(a, b: HostTime): Duration =
  initDuration(nanoseconds = cast[int64](uint64(a) - uint64(b)))

proc stop*(waited: Waited): bool = (uint32(waited) and taskhostWaitStop) != 0
proc wake*(waited: Waited): bool = (uint32(waited) and taskhostWaitWake) != 0
proc time*(waited: Waited): bool = (uint32(waited) and taskhostWaitTime) != 0

proc wake*(waker: Waker) =
  if waker.services != nil: waker.services.wake(waker.value)

# [any-thread]
proc log*(execution: Execution, level: int32, text: string) =
  execution.exec.services.log(execution.exec, level, cstring(text), csize_t(text.len))
proc debug*(execution: Execution, text: string) = execution.log(taskhostLogDebug, text)
proc info*(execution: Execution, text: string) = execution.log(taskhostLogInfo, text)
proc warning*(execution: Execution, text: string) = execution.log(taskhostLogWarning, text)
proc error*(execution: Execution, text: string) = execution.log(taskhostLogError, text)
proc configText*(execution: Execution): string = $execution.exec.services.config(execution.exec, nil)
  ## JSON text; for single values use config.
proc taskName*(execution: Execution): string = $execution.exec.services.taskName(execution.exec)
proc number*(execution: Execution): uint64 = execution.exec.services.executionNumber(execution.exec)
proc stopRequested*(execution: Execution): bool = execution.exec.services.stopRequested(execution.exec) != 0
proc now*(execution: Execution): HostTime = HostTime(execution.exec.services.now())
proc status*(execution: Execution, text: string) =
  ## What the execution is doing, in one line, for operators. Replaces the last one.
  execution.exec.services.status(execution.exec, cstring(text), csize_t(text.len))
proc ready*(execution: Execution) = execution.exec.services.ready(execution.exec)
proc heartbeat*(execution: Execution) = execution.exec.services.heartbeat(execution.exec)

proc extension*[Table](execution: Execution, id: cstring, revision: uint32): ptr Table =
  ## [any-thread] An extension's table, or nil if this host lacks the extension.
  cast[ptr Table](execution.exec.services.extension(execution.exec, id, revision))

proc signals*(execution: Execution): ptr TaskhostSignals =
  ## [any-thread] The process's signals, which a plugin must not handle itself; nil if the host does not share them.
  extension[TaskhostSignals](execution, taskhostExtensionSignals, taskhostSignalsRevision)

# [execution]
proc waker*(execution: Execution): Waker =
  ## The waker itself may be used on any thread.
  Waker(services: execution.exec.services, value: execution.exec.services.waker(execution.exec))

proc wakeAt*(execution: Execution, time: HostTime) =
  ## One timer per execution: a new time replaces the old one, `never` clears it.
  execution.exec.services.wakeAt(execution.exec, uint64(time))
proc wakeAfter*(execution: Execution, delay: Duration) =
  execution.exec.services.wakeAfter(execution.exec, delay.nanoseconds)

func refusalText(reason: int32): string =
  case reason
  of taskhostRefusedCall: "not from this function or thread, or not in a task with run"
  of taskhostRefusedArgument: "an unknown bit"
  of taskhostRefusedClosed: "the descriptor is not open"
  of taskhostRefusedAlways: "the descriptor is always ready, as files are"
  of taskhostRefusedLoop: "the descriptor is a set that would contain itself"
  of taskhostRefusedDescriptors: "the process has no descriptor left"
  of taskhostRefusedMemory: "no memory"
  of taskhostRefusedThreads: "the host has no thread left for work that blocks"
  of taskhostRefusedWatchers: "as many executions watch it as the system allows"
  else: "for the reason " & $reason

proc expectAccepted(status: int32, what: string) =
  if status == taskhostOk: return
  var refusal = newException(Refusal, "the host refuses to " & what & ": " & refusalText(status))
  refusal.reason = status
  raise refusal

# [execution], in tasks with poll
proc watch*(execution: Execution, descriptor: TaskhostFd, interests: uint32, tag = 0'u64) =
  ## Wakes the execution as long as the descriptor is ready for taskhostReadable, taskhostWritable or both. Replaces
  ## interests and tag of an earlier call. As many descriptors as you like; each is forgotten before it is closed.
  ## Raises a Refusal for one that cannot be watched, such as a file.
  expectAccepted(execution.exec.services.watch(execution.exec, descriptor, interests, tag), "watch the descriptor")

proc forget*(execution: Execution, descriptor: TaskhostFd) =
  ## Also in destructors, where it is no longer needed.
  discard execution.exec.services.watch(execution.exec, descriptor, 0, 0)

iterator takeReady*(execution: Execution): TaskhostReady =
  ## What is ready now, up to 64 at once: descriptors, with the tag of their watch, as long as they are ready; and
  ## offloaded work that is done, once: pass it to takeBack. A poll that got 64 returns `again`, as there may be more.
  var list: array[64, TaskhostReady]
  let count = execution.exec.services.takeReady(execution.exec, addr list[0], csize_t(list.len))
  for i in 0 ..< int(count): yield list[i]

type Offloaded[Job] = object
  job: Job
  error: ref Exception

proc runJob[Job](argument: pointer) {.cdecl, gcsafe, raises: [].} =
  mixin work
  let offloaded = cast[ptr Offloaded[Job]](argument)
  {.cast(gcsafe).}:
    try: work(offloaded.job)
    except: offloaded.error = getCurrentException()

proc discardJob[Job](argument: pointer) {.cdecl, gcsafe, raises: [].} =
  {.cast(gcsafe).}:
    try: `=destroy`(cast[ptr Offloaded[Job]](argument)[])
    except: discard
  dealloc(argument)

proc offload*[Job: object](execution: Execution, job: sink Job) =
  ## Calls `work(var Job)` on another thread, which it may block. When it has returned, the execution is woken, and
  ## takeReady gives an entry whose `what` is taskhostDone: takeBack takes the job out of it. If the execution ends
  ## before, the work goes on, and the job is destroyed. So it owns all that it uses: no ref or pointer in it is used by
  ## anybody else, and of an execution it uses nothing. Raises a Refusal if there is no thread.
  let offloaded = cast[ptr Offloaded[Job]](alloc0(sizeof(Offloaded[Job])))
  offloaded.job = job
  let work = TaskhostWork(structSize: uint32(sizeof(TaskhostWork)), tag: cast[uint64](offloaded), argument: offloaded,
                          run: runJob[Job], discardIt: discardJob[Job])
  let status = execution.exec.services.offload(execution.exec, unsafeAddr work)
  if status != taskhostOk: discardJob[Job](offloaded)
  expectAccepted(status, "offload the work")

proc takeBack*[Job: object](ready: TaskhostReady, kind: typedesc[Job]): Job =
  ## The job of work that is done, once: `let job = ready.takeBack(Resolve)`. Raises what the work has raised.
  doAssert ready.what == taskhostDone
  let offloaded = cast[ptr Offloaded[Job]](ready.tag)
  let error = move(offloaded.error)
  result = move(offloaded.job)
  discardJob[Job](offloaded)
  if error != nil: raise error

# [execution], in tasks with run
proc waitFd*(execution: Execution): TaskhostFd = execution.exec.services.waitFd(execution.exec)
  ## For a loop of the task's own: a descriptor that is readable while a wait would return for a wake or the stop. -1 if
  ## there is none to be had. It is the host's: don't read or close it.

proc waitUntil*(execution: Execution, time: HostTime): Waited =
  ## Sleeps until that time, a wake or the stop.
  Waited(execution.exec.services.wait(execution.exec, uint64(time)))
proc waitFor*(execution: Execution, delay: Duration): Waited = execution.waitUntil(execution.now + delay)

proc expectOk(status: int32) =
  if status != taskhostOk: raise newException(ReportedFailure, "wrong config")

proc config*(execution: Execution, keys: string): Config =
  ## A reader of the config. `keys` lists the top-level keys that the task knows, separated by blanks; any other key
  ## raises a Failure, as does a host that reads no configs.
  result.exec = execution.exec
  result.reader = extension[TaskhostConfigReader](execution, taskhostExtensionConfig, taskhostConfigRevision)
  if result.reader == nil:
    raise newException(Failure, "this host reads no configs (extension " & taskhostExtensionConfig & ")")
  expectOk result.reader.keys(execution.exec, cstring(keys))

# `pointer` is a JSON pointer: "/every", "/pins/0". If there is no value, the default is returned; a wrong value raises
# a Failure with the host's text.
proc require*(config: Config, pointer: string) = expectOk config.reader.require(config.exec, cstring(pointer))

proc text*(config: Config, pointer: string, otherwise = ""): string =
  var value: cstring
  var size: csize_t
  expectOk config.reader.text(config.exec, cstring(pointer), addr value, addr size)
  if value == nil: return otherwise
  result = newString(int(size))
  if size > 0: copyMem(addr result[0], value, size)

proc integer*(config: Config, pointer: string, otherwise = 0'i64, range = low(int64)..high(int64)): int64 =
  result = otherwise
  expectOk config.reader.integer(config.exec, cstring(pointer), range.a, range.b, addr result)

proc number*(config: Config, pointer: string, otherwise = 0.0): float =
  result = otherwise
  expectOk config.reader.number(config.exec, cstring(pointer), addr result)

proc boolean*(config: Config, pointer: string, otherwise = false): bool =
  var value = int32(otherwise)
  expectOk config.reader.boolean(config.exec, cstring(pointer), addr value)
  value != 0

proc duration*(config: Config, pointer: string, otherwise = DurationZero): Duration =
  var value = otherwise.nanoseconds
  expectOk config.reader.duration(config.exec, cstring(pointer), addr value)
  initDuration(nanoseconds = int64(value)) # the host's limit is a year

proc parseDuration*(config: Config, text: string, value: var Duration): bool =
  ## Reads a duration that does not stand in the config. If it is none: false, and `value` is left as it is.
  var nanoseconds: uint64
  result = config.reader.parseDuration(cstring(text), csize_t(text.len), addr nanoseconds) == taskhostOk
  if result: value = initDuration(nanoseconds = int64(nanoseconds))

proc count*(config: Config, pointer: string): int =
  ## The number of elements of an array.
  var value: csize_t
  expectOk config.reader.count(config.exec, cstring(pointer), addr value)
  int(value)

# ---- the border: the functions that the host calls for an execution

proc report(exec: ptr TaskhostExec): int32 {.raises: [].} =
  ## Call only within an except branch.
  let raised = getCurrentException()
  if raised of ReportedFailure: return taskhostError
  discard exec.services.fail(exec, cstring(raised.msg), csize_t(raised.msg.len))
  if raised of Failure: taskhostError else: taskhostPanic

func status(how: Poll): int32 =
  case how
  of done: taskhostOk
  of pending: taskhostPending
  of again: taskhostAgain

proc startTask[Task](state: pointer, exec: ptr TaskhostExec): int32 {.cdecl, gcsafe, raises: [].} =
  mixin start
  let task = cast[ptr Task](state)
  {.cast(gcsafe).}:
    try:
      start(task[], Execution(exec: exec))
      result = taskhostOk
    except:
      result = report(exec)
      try: `=destroy`(task[])
      except: discard

proc pollTask[Task](state: pointer, exec: ptr TaskhostExec): int32 {.cdecl, gcsafe, raises: [].} =
  mixin poll
  {.cast(gcsafe).}:
    try: result = poll(cast[ptr Task](state)[], Execution(exec: exec)).status
    except: result = report(exec)

proc runTask[Task](state: pointer, exec: ptr TaskhostExec): int32 {.cdecl, gcsafe, raises: [].} =
  mixin run
  {.cast(gcsafe).}:
    try:
      run(cast[ptr Task](state)[], Execution(exec: exec))
      result = taskhostOk
    except:
      result = report(exec)

# The outcome is already decided, so what a finish or a destructor raises can only be logged (rule 3.7).
proc finishTask[Task](state: pointer, exec: ptr TaskhostExec): int32 {.cdecl, gcsafe, raises: [].} =
  mixin finish
  {.cast(gcsafe).}:
    try: result = finish(cast[ptr Task](state)[], Execution(exec: exec)).status
    except:
      Execution(exec: exec).error(getCurrentExceptionMsg())
      result = taskhostOk

proc dropTask[Task](state: pointer, exec: ptr TaskhostExec) {.cdecl, gcsafe, raises: [].} =
  {.cast(gcsafe).}:
    try: `=destroy`(cast[ptr Task](state)[])
    except: Execution(exec: exec).error(getCurrentExceptionMsg())

proc checkTask[Task](exec: ptr TaskhostExec): int32 {.cdecl, gcsafe, raises: [].} =
  mixin check
  {.cast(gcsafe).}:
    try:
      check(Task, Execution(exec: exec))
      result = taskhostOk
    except:
      result = report(exec)

proc task*[Task: object](name: static string, version: static string = "1.0",
                         description: static string = ""): TaskhostFactory =
  ## A kind of task. Task has `start(var Task, Execution)`, and either `poll(var Task, Execution): Poll`, which never
  ## blocks, or `run(var Task, Execution)`, which may block and has a thread of its own. It may have, declared before
  ## this call, `finish(var Task, Execution): Poll`, beside poll: an end that takes time, polled until it is done; and
  ## `check(typedesc[Task], Execution)`, which raises a Failure for a config that no execution can live with.
  mixin start, poll, run, finish, check
  const
    hasPoll = compiles((var it: Task; let how: Poll = poll(it, Execution())))
    hasRun = compiles((var it: Task; run(it, Execution())))
    hasFinish = compiles((var it: Task; let how: Poll = finish(it, Execution())))
    hasCheck = compiles(check(Task, Execution()))
  when hasPoll == hasRun:
    {.error: "a task needs either `proc poll(self: var Task, execution: Execution): Poll` or " &
             "`proc run(self: var Task, execution: Execution)` (rule 2.7)".}
  when hasFinish and not hasPoll:
    {.error: "finish is for tasks with poll; run itself takes the time that its end needs (rule 2.7)".}
  result = TaskhostFactory(
    structSize: uint32(sizeof(TaskhostFactory)), name: cstring(name), stateSize: csize_t(sizeof(Task)),
    stateAlign: csize_t(alignof(Task)), start: startTask[Task], drop: dropTask[Task])
  if version.len > 0: result.version = cstring(version)
  if description.len > 0: result.description = cstring(description)
  when hasPoll: result.poll = pollTask[Task]
  else: result.run = runTask[Task]
  when hasFinish: result.finish = finishTask[Task]
  when hasCheck: result.check = checkTask[Task]

template taskhostPlugin*(tasks: varargs[TaskhostFactory]) =
  ## Defines the entry: `taskhostPlugin(task[A]("a"), task[B]("b"))`. Use it once per plugin. The factories are filled
  ## when the library is loaded, before the host calls the entry.
  var taskhostFactories {.global.} = @tasks
  for i in 1 ..< taskhostFactories.len: taskhostFactories[i - 1].next = addr taskhostFactories[i]

  proc taskhostPluginV1(): ptr TaskhostFactory {.exportc: taskhostEntryName, cdecl, dynlib.} = addr taskhostFactories[0]
