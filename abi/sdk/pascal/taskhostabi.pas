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

  { How a call ended. start: OK, ERROR, PANIC. poll: any of the four. run: OK, ERROR, PANIC. }
  TASKHOST_OK = 0;
  TASKHOST_PENDING = 1;
  TASKHOST_ERROR = 2;
  TASKHOST_PANIC = 3;

  TASKHOST_LOG_TRACE = 0;
  TASKHOST_LOG_DEBUG = 1;
  TASKHOST_LOG_INFO = 2;
  TASKHOST_LOG_WARNING = 3;
  TASKHOST_LOG_ERROR = 4;

  { interests of wake_on_fd }
  TASKHOST_READABLE = 1;
  TASKHOST_WRITABLE = 2;

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
    { [execution] good for one wake; 0 interests cancels the wait }
    wake_on_fd: function(exec: PTaskhostExec; fd: Int32; interests: UInt32): Int32; cdecl;
    { [execution, run only] }
    wait: function(exec: PTaskhostExec; time: UInt64): UInt32; cdecl;
    { [any-thread] }
    ready: procedure(exec: PTaskhostExec); cdecl;
    { [any-thread] }
    heartbeat: procedure(exec: PTaskhostExec); cdecl;
    { [any-thread] nil if the host has none with that id and revision }
    extension: function(exec: PTaskhostExec; id: PAnsiChar; revision: UInt32): Pointer; cdecl;
  end;

  TTaskhostStart = function(state: Pointer; exec: PTaskhostExec): Int32; cdecl;
  TTaskhostStep = function(state: Pointer; exec: PTaskhostExec): Int32; cdecl;
  TTaskhostDrop = procedure(state: Pointer); cdecl;

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
    drop: TTaskhostDrop;
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
  Layout: array[1..46] of TTrue = (
    SizeOf(TTaskhostFactory) = 16 + 10 * P,
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
    PtrUInt(@PTaskhostFactory(nil)^.drop) = 16 + 8 * P,
    PtrUInt(@PTaskhostFactory(nil)^.next) = 16 + 9 * P,
    SizeOf(TTaskhostServices) = 8 + 16 * P,
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
    PtrUInt(@PTaskhostServices(nil)^.wake_on_fd) = 8 + 11 * P,
    PtrUInt(@PTaskhostServices(nil)^.wait) = 8 + 12 * P,
    PtrUInt(@PTaskhostServices(nil)^.ready) = 8 + 13 * P,
    PtrUInt(@PTaskhostServices(nil)^.heartbeat) = 8 + 14 * P,
    PtrUInt(@PTaskhostServices(nil)^.extension) = 8 + 15 * P,
    SizeOf(TTaskhostConfigReader) = 8 + 8 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.revision) = 4,
    PtrUInt(@PTaskhostConfigReader(nil)^.keys) = 8,
    PtrUInt(@PTaskhostConfigReader(nil)^.require) = 8 + 1 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.text) = 8 + 2 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.integer) = 8 + 3 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.number) = 8 + 4 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.boolean) = 8 + 5 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.duration) = 8 + 6 * P,
    PtrUInt(@PTaskhostConfigReader(nil)^.count) = 8 + 7 * P,
    SizeOf(TTaskhostSignals) = 8 + 2 * P,
    PtrUInt(@PTaskhostSignals(nil)^.revision) = 4,
    PtrUInt(@PTaskhostSignals(nil)^.subscribe) = 8,
    PtrUInt(@PTaskhostSignals(nil)^.take) = 8 + 1 * P);

end.
