{ taskhostabi.pas: taskhost/plugin.h and taskhost/ext/ (config.h, signals.h) in Free Pascal, field by field.

  The C headers document each function; the tags in brackets are theirs, and say on which threads it may be called.
  Texts are UTF-8, durations and times nanoseconds. The unit taskhost provides classes based on this one, which can also
  be used alone, by a plugin that fills a TTaskhostFactory itself. The table at the end makes the unit fail to compile
  if its layout differs from that of C. }
unit taskhostabi;

{$mode objfpc}{$H+}
{$packrecords c}

interface

const
  TASKHOST_ABI_MAJOR = 1;
  TASKHOST_ABI_MINOR = 0;
  TASKHOST_ENTRY_NAME = 'taskhost_plugin_v1';

  { How a call ended. start, run, check: OK, ERROR, PANIC. poll: any of the five. finish: OK, PENDING, AGAIN. }
  TASKHOST_OK = 0;
  TASKHOST_PENDING = 1;
  TASKHOST_ERROR = 2;
  TASKHOST_PANIC = 3;
  TASKHOST_AGAIN = 4;

  { Why a service does not do what it was asked for; the host has logged it. }
  TASKHOST_REFUSED_CALL = 16;
  TASKHOST_REFUSED_ARGUMENT = 17;
  TASKHOST_REFUSED_CLOSED = 18;
  TASKHOST_REFUSED_ALWAYS = 19;
  TASKHOST_REFUSED_LOOP = 20;
  TASKHOST_REFUSED_DESCRIPTORS = 21;
  TASKHOST_REFUSED_MEMORY = 22;
  TASKHOST_REFUSED_THREADS = 23;
  TASKHOST_REFUSED_WATCHERS = 24;

  TASKHOST_LOG_TRACE = 0;
  TASKHOST_LOG_DEBUG = 1;
  TASKHOST_LOG_INFO = 2;
  TASKHOST_LOG_WARNING = 3;
  TASKHOST_LOG_ERROR = 4;

  { interests of watch, and what take_ready tells; the last two only the latter }
  TASKHOST_READABLE = 1;
  TASKHOST_WRITABLE = 2;
  TASKHOST_BROKEN = 4;
  TASKHOST_DONE = 8;

  { bits that wait returns }
  TASKHOST_WAIT_STOP = 1;
  TASKHOST_WAIT_WAKE = 2;
  TASKHOST_WAIT_TIME = 4;

  TASKHOST_MICROSECOND = UInt64(1000);
  TASKHOST_MILLISECOND = UInt64(1000000);
  TASKHOST_SECOND = UInt64(1000000000);
  TASKHOST_NEVER = High(UInt64);

type
  PTaskhostExec = ^TTaskhostExec;
  PTaskhostServices = ^TTaskhostServices;
  PTaskhostFactory = ^TTaskhostFactory;

  { A value: keep it, use it on any thread at any time. 0 is never a waker; waking it is allowed. }
  TTaskhostWaker = UInt64;

  { A file descriptor; on Windows a SOCKET. }
  TTaskhostFd = Int64;

  PTaskhostReady = ^TTaskhostReady;
  TTaskhostReady = record
    tag: UInt64;
    what: UInt32;
    reserved: UInt32;
  end;

  { Work that blocks. run is called once, discard after it, or instead of it, if the execution has ended by then. }
  PTaskhostWork = ^TTaskhostWork;
  TTaskhostWork = record
    struct_size: UInt32;
    reserved: UInt32;
    tag: UInt64;
    argument: Pointer;
    run: procedure(argument: Pointer); cdecl;
    discard: procedure(argument: Pointer); cdecl;
  end;

  { Owned by the host; valid from the call of start until drop returns (rule 4.1). }
  TTaskhostExec = record
    services: PTaskhostServices;
    { Further fields are private to the host. }
  end;

  { The table stays valid as long as the process lives. A function that a later minor version appended exists only if
    struct_size covers it (rule 4.8). }
  TTaskhostServices = record
    struct_size: UInt32;
    abi_minor: UInt32;
    { [any-thread] }
    log: procedure(exec: PTaskhostExec; level: Int32; text: PAnsiChar; size: SizeUInt); cdecl;
    { [execution] returns TASKHOST_ERROR; does not end the execution by itself }
    fail: function(exec: PTaskhostExec; text: PAnsiChar; size: SizeUInt): Int32; cdecl;
    { [any-thread] the JSON text; size may be nil; owned by the host, valid until drop returns }
    config: function(exec: PTaskhostExec; size: PSizeUInt): PAnsiChar; cdecl;
    { [any-thread] owned by the host, valid until drop returns }
    task_name: function(exec: PTaskhostExec): PAnsiChar; cdecl;
    { [any-thread] }
    execution_number: function(exec: PTaskhostExec): UInt64; cdecl;
    { [any-thread] }
    stop_requested: function(exec: PTaskhostExec): Int32; cdecl;
    { [anywhere] }
    now: function: UInt64; cdecl;
    { [execution] }
    waker: function(exec: PTaskhostExec): TTaskhostWaker; cdecl;
    { [anywhere] }
    wake: procedure(waker: TTaskhostWaker); cdecl;
    { [execution] one timer per execution; TASKHOST_NEVER clears it }
    wake_at: procedure(exec: PTaskhostExec; time: UInt64); cdecl;
    { [execution] }
    wake_after: procedure(exec: PTaskhostExec; delay: UInt64); cdecl;
    { [execution, poll only] stays until it is replaced; 0 interests end it, which drop may do as well }
    watch: function(exec: PTaskhostExec; fd: TTaskhostFd; interests: UInt32; tag: UInt64): Int32; cdecl;
    { [execution, poll only] }
    take_ready: function(exec: PTaskhostExec; list: PTaskhostReady; capacity: SizeUInt): SizeUInt; cdecl;
    { [execution, poll only] *work is copied }
    offload: function(exec: PTaskhostExec; work: PTaskhostWork): Int32; cdecl;
    { [execution, run only] }
    wait: function(exec: PTaskhostExec; time: UInt64): UInt32; cdecl;
    { [execution, run only] owned by the host; -1 if there is none }
    wait_fd: function(exec: PTaskhostExec): TTaskhostFd; cdecl;
    { [any-thread] }
    ready: procedure(exec: PTaskhostExec); cdecl;
    { [any-thread] }
    heartbeat: procedure(exec: PTaskhostExec); cdecl;
    { [any-thread] }
    status: procedure(exec: PTaskhostExec; text: PAnsiChar; size: SizeUInt); cdecl;
    { [any-thread] nil if the host has none with that id and revision }
    extension: function(exec: PTaskhostExec; id: PAnsiChar; revision: UInt32): Pointer; cdecl;
  end;

  TTaskhostStart = function(state: Pointer; exec: PTaskhostExec): Int32; cdecl;
  TTaskhostStep = function(state: Pointer; exec: PTaskhostExec): Int32; cdecl;
  TTaskhostDrop = procedure(state: Pointer; exec: PTaskhostExec); cdecl;
  TTaskhostCheck = function(exec: PTaskhostExec): Int32; cdecl;

  { Owned by the plugin; unchanged and valid as long as the library is loaded. A field that is zero counts as absent. }
  TTaskhostFactory = record
    struct_size: UInt32;
    required_minor: UInt32;
    name: PAnsiChar;
    version: PAnsiChar;
    description: PAnsiChar;
    state_size: SizeUInt;
    state_align: SizeUInt;
    flags: UInt32;
    reserved: UInt32;
    start: TTaskhostStart;
    { Exactly one of these two is set (rule 2.7). }
    poll: TTaskhostStep;
    run: TTaskhostStep;
    { with poll only }
    finish: TTaskhostStep;
    drop: TTaskhostDrop;
    check: TTaskhostCheck;
    next: PTaskhostFactory;
  end;

{ taskhost/ext/config.h }
const
  TASKHOST_EXTENSION_CONFIG = 'taskhost.config';
  TASKHOST_CONFIG_REVISION = 1;

type
  { All [execution]. They return TASKHOST_OK, with value set if there is one; or TASKHOST_ERROR, after calling fail. }
  TTaskhostConfigReader = record
    struct_size: UInt32;
    revision: UInt32;
    keys: function(exec: PTaskhostExec; keys: PAnsiChar): Int32; cdecl;
    require: function(exec: PTaskhostExec; pointer: PAnsiChar): Int32; cdecl;
    text: function(exec: PTaskhostExec; pointer: PAnsiChar; value: PPAnsiChar; size: PSizeUInt): Int32; cdecl;
    integer: function(exec: PTaskhostExec; pointer: PAnsiChar; least, most: Int64; value: PInt64): Int32; cdecl;
    number: function(exec: PTaskhostExec; pointer: PAnsiChar; value: PDouble): Int32; cdecl;
    boolean: function(exec: PTaskhostExec; pointer: PAnsiChar; value: PLongInt): Int32; cdecl;
    duration: function(exec: PTaskhostExec; pointer: PAnsiChar; value: PUInt64): Int32; cdecl;
    count: function(exec: PTaskhostExec; pointer: PAnsiChar; value: PSizeUInt): Int32; cdecl;
    parse_duration: function(text: PAnsiChar; size: SizeUInt; value: PUInt64): Int32; cdecl;
  end;
  PTaskhostConfigReader = ^TTaskhostConfigReader;

{ taskhost/ext/signals.h }
const
  TASKHOST_EXTENSION_SIGNALS = 'taskhost.signals';
  TASKHOST_SIGNALS_REVISION = 1;

  TASKHOST_SIGNAL_INTERRUPT = 1;
  TASKHOST_SIGNAL_TERMINATE = 2;
  TASKHOST_SIGNAL_HANGUP = 4;
  TASKHOST_SIGNAL_USER1 = 8;
  TASKHOST_SIGNAL_USER2 = 16;

type
  { Both [execution]. }
  TTaskhostSignals = record
    struct_size: UInt32;
    revision: UInt32;
    subscribe: function(exec: PTaskhostExec; signals: UInt32): Int32; cdecl;
    take: function(exec: PTaskhostExec): UInt32; cdecl;
  end;
  PTaskhostSignals = ^TTaskhostSignals;

implementation

{$warn 5025 off} { Layout is there to be compiled, not to be used }
{$R+}
const
  P = SizeOf(Pointer);

type
  TTrue = True..True;

const
  { The layout of C. A value that is not true is out of range, and does not compile. }
  Layout: array[1..62] of TTrue = (
    SizeOf(TTaskhostReady) = 16,
    PtrUInt(@PTaskhostReady(nil)^.what) = 8,
    PtrUInt(@PTaskhostReady(nil)^.reserved) = 12,
    SizeOf(TTaskhostWork) = 16 + 3 * P,
    PtrUInt(@PTaskhostWork(nil)^.reserved) = 4,
    PtrUInt(@PTaskhostWork(nil)^.tag) = 8,
    PtrUInt(@PTaskhostWork(nil)^.argument) = 16,
    PtrUInt(@PTaskhostWork(nil)^.run) = 16 + 1 * P,
    PtrUInt(@PTaskhostWork(nil)^.discard) = 16 + 2 * P,
    SizeOf(TTaskhostFactory) = 16 + 12 * P,
    PtrUInt(@PTaskhostFactory(nil)^.required_minor) = 4,
    PtrUInt(@PTaskhostFactory(nil)^.name) = 8,
    PtrUInt(@PTaskhostFactory(nil)^.version) = 8 + 1 * P,
    PtrUInt(@PTaskhostFactory(nil)^.description) = 8 + 2 * P,
    PtrUInt(@PTaskhostFactory(nil)^.state_size) = 8 + 3 * P,
    PtrUInt(@PTaskhostFactory(nil)^.state_align) = 8 + 4 * P,
    PtrUInt(@PTaskhostFactory(nil)^.flags) = 8 + 5 * P,
    PtrUInt(@PTaskhostFactory(nil)^.reserved) = 12 + 5 * P,
    PtrUInt(@PTaskhostFactory(nil)^.start) = 16 + 5 * P,
    PtrUInt(@PTaskhostFactory(nil)^.poll) = 16 + 6 * P,
    PtrUInt(@PTaskhostFactory(nil)^.run) = 16 + 7 * P,
    PtrUInt(@PTaskhostFactory(nil)^.finish) = 16 + 8 * P,
    PtrUInt(@PTaskhostFactory(nil)^.drop) = 16 + 9 * P,
    PtrUInt(@PTaskhostFactory(nil)^.check) = 16 + 10 * P,
    PtrUInt(@PTaskhostFactory(nil)^.next) = 16 + 11 * P,
    SizeOf(TTaskhostServices) = 8 + 20 * P,
    PtrUInt(@PTaskhostServices(nil)^.abi_minor) = 4,
    PtrUInt(@PTaskhostServices(nil)^.log) = 8,
    PtrUInt(@PTaskhostServices(nil)^.fail) = 8 + 1 * P,
    PtrUInt(@PTaskhostServices(nil)^.config) = 8 + 2 * P,
    PtrUInt(@PTaskhostServices(nil)^.task_name) = 8 + 3 * P,
    PtrUInt(@PTaskhostServices(nil)^.execution_number) = 8 + 4 * P,
    PtrUInt(@PTaskhostServices(nil)^.stop_requested) = 8 + 5 * P,
    PtrUInt(@PTaskhostServices(nil)^.now) = 8 + 6 * P,
    PtrUInt(@PTaskhostServices(nil)^.waker) = 8 + 7 * P,
    PtrUInt(@PTaskhostServices(nil)^.wake) = 8 + 8 * P,
    PtrUInt(@PTaskhostServices(nil)^.wake_at) = 8 + 9 * P,
    PtrUInt(@PTaskhostServices(nil)^.wake_after) = 8 + 10 * P,
    PtrUInt(@PTaskhostServices(nil)^.watch) = 8 + 11 * P,
    PtrUInt(@PTaskhostServices(nil)^.take_ready) = 8 + 12 * P,
    PtrUInt(@PTaskhostServices(nil)^.offload) = 8 + 13 * P,
    PtrUInt(@PTaskhostServices(nil)^.wait) = 8 + 14 * P,
    PtrUInt(@PTaskhostServices(nil)^.wait_fd) = 8 + 15 * P,
    PtrUInt(@PTaskhostServices(nil)^.ready) = 8 + 16 * P,
    PtrUInt(@PTaskhostServices(nil)^.heartbeat) = 8 + 17 * P,
    PtrUInt(@PTaskhostServices(nil)^.status) = 8 + 18 * P,
    PtrUInt(@PTaskhostServices(nil)^.extension) = 8 + 19 * P,
    SizeOf(TTaskhostConfigReader) = 8 + 9 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.revision) = 4,
    PtrUInt(@PTaskhostConfigReader(nil)^.keys) = 8,
    PtrUInt(@PTaskhostConfigReader(nil)^.require) = 8 + 1 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.text) = 8 + 2 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.integer) = 8 + 3 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.number) = 8 + 4 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.boolean) = 8 + 5 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.duration) = 8 + 6 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.count) = 8 + 7 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.parse_duration) = 8 + 8 * P,
    SizeOf(TTaskhostSignals) = 8 + 2 * P,
    PtrUInt(@PTaskhostSignals(nil)^.revision) = 4,
    PtrUInt(@PTaskhostSignals(nil)^.subscribe) = 8,
    PtrUInt(@PTaskhostSignals(nil)^.take) = 8 + 1 * P);

end.
