{ taskhost.pas: a task is a class, an execution an object.

    TBeat = class(TTask)
    protected
      function Poll: TPollResult; override;
    end;
    TBeatKind = specialize TTaskKind<TBeat>;

    exports taskhost_plugin_v1;
    begin
      TBeatKind.Add('beat', '1.0', 'logs a line each second');
    end.

  The object is created when an execution starts and freed when it is dropped. It belongs to the host, which calls its
  methods one at a time, on any of its threads; objects of the same class may be in use on several threads at once.

  Any exception that leaves Create, Start, Poll or Run ends the execution: an ETaskFailure with the outcome `error`, any
  other with `panic`, each with its message. An exception from Finish or from a destructor is logged.

  Name this unit first in the library's uses clause, as one would do with cthreads, which it includes: without that,
  Free Pascal's strings and heap work with one thread only. }
unit taskhost;

{$mode objfpc}{$H+}
{$modeswitch advancedrecords}

interface

uses
  cthreads, SysUtils, taskhostabi;

type
  { An expected failure: outcome `error` with this message. An empty message keeps the one that the host already has. }
  ETaskFailure = class(Exception);

  { prPending: not done; poll again after a wake. prDone: the execution has ended well. prAgain: not done; poll again
    after the other tasks have had their turn. }
  TPollResult = (prPending, prDone, prAgain);

  TWaitResult = set of (wrStop, wrWake, wrTime);

  { Wakes its execution from any thread, at any time; after the execution's end it does nothing. }
  TWaker = record
    Services: PTaskhostServices;
    Value: TTaskhostWaker;
    procedure Wake;
  end;

  { Work that blocks: derive a class with what it needs and what it results in, and hand an object to TTask.Offload. }
  TWork = class
  private
    FTag: UInt64;
    FThrown: TObject;
  protected
    { Called on another thread, which it may block. It uses only this object: the execution may end in the meantime. }
    procedure Run; virtual; abstract;
  public
    destructor Destroy; override;
    { Raises the exception that has left Run, if one has. Call it once the work is done. }
    procedure RaiseException;
  end;

  { Something that TTask.TakeReady tells. }
  TReadyEvent = record
    Tag: UInt64;
    { TASKHOST_READABLE, TASKHOST_WRITABLE, TASKHOST_BROKEN; or TASKHOST_DONE alone }
    What: UInt32;
    { Work that is done: it is the task's again, which frees it. nil for a descriptor. }
    Work: TWork;
  end;

  { The common base of both kinds of task. Call the host's methods on the execution's own thread, unless they are marked
    [any-thread]. }
  TTaskBase = class
  private
    FExec: PTaskhostExec;
    function Reader: PTaskhostConfigReader;
    procedure Check(Result: Int32);
  protected
    { Reads the config and acquires what the execution needs. The host's methods work only from here on. }
    procedure Start; virtual;
    { Raises an ETaskFailure if no execution could live with the config. Called for an object of its own, which is never
      started, before the host starts and by `taskhost check`. Of the host's methods only Log, Info, Warning, TaskName,
      Clock, Extension and those of the config work. }
    procedure CheckConfig; virtual;
  public
    { As usual in Pascal, the destructor also runs for an object whose constructor failed, and must cope with that. }
    constructor Create; virtual;
    property Exec: PTaskhostExec read FExec;

    { [any-thread] UTF-8; cut at 4096 bytes. }
    procedure Log(Level: Int32; const Text: string);
    procedure Info(const Text: string);
    procedure Warning(const Text: string);
    { [any-thread] }
    function TaskName: string;
    { [any-thread] Within its task, starting at 1. }
    function ExecutionNumber: UInt64;
    { [any-thread] True once the host asks the execution to end; the execution is woken when that happens. }
    function StopRequested: Boolean;
    { [any-thread] Nanoseconds on a monotonic clock. }
    function Clock: UInt64;
    { [any-thread] Reports that the execution is ready to do its job. }
    procedure Ready;
    { [any-thread] A sign of life, for the task's watchdog. }
    procedure Heartbeat;
    { [any-thread] What the execution is doing, for operators: one line of up to 256 bytes. }
    procedure Status(const Text: string);
    { [any-thread] nil if this host has none with that id and revision. }
    function Extension(const Id: string; Revision: UInt32): Pointer;
    { [any-thread] nil if the embedding program handles signals itself. }
    function Signals: PTaskhostSignals;
    function Waker: TWaker;
    { One timer: a new time replaces the old one, TASKHOST_NEVER clears it. Never early. }
    procedure WakeAt(Time: UInt64);
    procedure WakeAfter(Delay: UInt64);

    { [any-thread] The whole config as JSON text. }
    function ConfigText: string;
    { The config's values by JSON pointer: '/every', '/pins/0'. A wrong value raises ETaskFailure with the host's
      message, as does a host that reads no configs. }
    procedure ConfigKeys(const Known: string);
    procedure ConfigRequire(const Pointer: string);
    function ConfigString(const Pointer, Default: string): string;
    function ConfigInteger(const Pointer: string; Least, Most, Default: Int64): Int64;
    function ConfigNumber(const Pointer: string; Default: Double): Double;
    function ConfigBoolean(const Pointer: string; Default: Boolean): Boolean;
    { Nanoseconds; in JSON "250ms", "10s", "1.5h". }
    function ConfigDuration(const Pointer: string; Default: UInt64): UInt64;
    { Reads a duration that does not stand in the config. False if it is none; Value is then left as it is. }
    function TryParseDuration(const Text: string; var Value: UInt64): Boolean;
    function ConfigCount(const Pointer: string): SizeUInt;
  end;
  TTaskClass = class of TTaskBase;

  { A task that shares its thread: Poll goes as far as it can without blocking. }
  TTask = class(TTaskBase)
  protected
    function Poll: TPollResult; virtual; abstract;
    { An end that takes time, such as closing a connection. Called like Poll after the execution has ended, until it
      returns prDone, for up to the task's stop_timeout. The outcome is already decided. }
    function Finish: TPollResult; virtual;
  public
    { The execution is woken as long as the descriptor is ready for TASKHOST_READABLE, TASKHOST_WRITABLE or both.
      Replaces an earlier watch of it. Returns TASKHOST_OK, or a TASKHOST_REFUSED_ that the host has logged. }
    function Watch(Fd: TTaskhostFd; Interests: UInt32; Tag: UInt64 = 0): Int32;
    { Ends the watch: to be called before the descriptor is closed. In the destructor the host has forgotten all. }
    procedure Forget(Fd: TTaskhostFd);
    { Hands over the work, which the task must not touch until TakeReady gives it back: when its Run has returned, the
      execution is woken. If the execution ends first, the work goes on, and is then freed. If the host has no thread
      for it, it is freed at once, and an ETaskFailure raised. }
    procedure Offload(Work: TWork; Tag: UInt64 = 0);
    { What is ready now: fills the beginning of List, up to 64, and returns how many there are. A watched descriptor
      comes again as long as it is ready, work once. }
    function TakeReady(var List: array of TReadyEvent): Integer;
  end;

  { A task that may block: Run has a thread of its own, and its return ends the execution. Wakes end its waits. }
  TBlockingTask = class(TTaskBase)
  protected
    procedure Run; virtual; abstract;
  public
    function WaitUntil(Time: UInt64): TWaitResult;
    function WaitFor(Delay: UInt64): TWaitResult;
    { For a loop of the task's own: a descriptor that is readable while a wait would return for a wake or the stop. It
      is the host's: never read or close it. -1: there is none. }
    function WaitFd: TTaskhostFd;
  end;

  { The recipe for executions of one class. Call Add in the main block of the library, once for each task; it keeps the
    texts. The first task of the library is used if the manifest does not select one. }
  generic TTaskKind<T: TTaskBase> = class
  private
    class function StartOne(State: Pointer; TheExec: PTaskhostExec): Int32; cdecl; static;
    class function CheckOne(TheExec: PTaskhostExec): Int32; cdecl; static;
  public
    class procedure Add(const Name, Version, Description: string); static;
  end;

{ Used by TTaskKind. }
function StartTask(TaskClass: TTaskClass; State: Pointer; TheExec: PTaskhostExec): Int32;
function CheckTask(TaskClass: TTaskClass; TheExec: PTaskhostExec): Int32;
procedure AddTask(TaskClass: TTaskClass; Start: TTaskhostStart; Check: TTaskhostCheck;
  const Name, Version, Description: string);

{ The one function that the library must export. }
function taskhost_plugin_v1: PTaskhostFactory; cdecl;

implementation

{$I taskhostborder.inc}

{ TWaker }

procedure TWaker.Wake;
begin
  if Services <> nil then
    Services^.wake(Value);
end;

{ TTaskBase }

constructor TTaskBase.Create;
begin
  inherited Create;
end;

procedure TTaskBase.Start;
begin
end;

procedure TTaskBase.CheckConfig;
begin
end;

procedure TTaskBase.Log(Level: Int32; const Text: string);
begin
  FExec^.services^.log(FExec, Level, PAnsiChar(Text), Length(Text));
end;

procedure TTaskBase.Info(const Text: string);
begin
  Log(TASKHOST_LOG_INFO, Text);
end;

procedure TTaskBase.Warning(const Text: string);
begin
  Log(TASKHOST_LOG_WARNING, Text);
end;

function TTaskBase.TaskName: string;
begin
  Result := FExec^.services^.task_name(FExec);
end;

function TTaskBase.ExecutionNumber: UInt64;
begin
  Result := FExec^.services^.execution_number(FExec);
end;

function TTaskBase.StopRequested: Boolean;
begin
  Result := FExec^.services^.stop_requested(FExec) <> 0;
end;

function TTaskBase.Clock: UInt64;
begin
  Result := FExec^.services^.now();
end;

procedure TTaskBase.Ready;
begin
  FExec^.services^.ready(FExec);
end;

procedure TTaskBase.Heartbeat;
begin
  FExec^.services^.heartbeat(FExec);
end;

procedure TTaskBase.Status(const Text: string);
begin
  FExec^.services^.status(FExec, PAnsiChar(Text), Length(Text));
end;

function TTaskBase.Extension(const Id: string; Revision: UInt32): Pointer;
begin
  Result := FExec^.services^.extension(FExec, PAnsiChar(Id), Revision);
end;

function TTaskBase.Signals: PTaskhostSignals;
begin
  Result := Extension(TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
end;

function TTaskBase.Waker: TWaker;
begin
  Result.Services := FExec^.services;
  Result.Value := FExec^.services^.waker(FExec);
end;

procedure TTaskBase.WakeAt(Time: UInt64);
begin
  FExec^.services^.wake_at(FExec, Time);
end;

procedure TTaskBase.WakeAfter(Delay: UInt64);
begin
  FExec^.services^.wake_after(FExec, Delay);
end;

function TTaskBase.Reader: PTaskhostConfigReader;
begin
  Result := Extension(TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
  if Result = nil then
    raise ETaskFailure.Create('this host reads no configs (extension ' + TASKHOST_EXTENSION_CONFIG + ')');
end;

procedure TTaskBase.Check(Result: Int32);
begin
  if Result <> TASKHOST_OK then
    raise ETaskFailure.Create(''); // the host already has the message
end;

function TTaskBase.ConfigText: string;
var
  Text: PAnsiChar;
  Size: SizeUInt;
begin
  Size := 0;
  Text := FExec^.services^.config(FExec, @Size);
  SetString(Result, Text, Size);
end;

procedure TTaskBase.ConfigKeys(const Known: string);
begin
  Check(Reader^.keys(FExec, PAnsiChar(Known)));
end;

procedure TTaskBase.ConfigRequire(const Pointer: string);
begin
  Check(Reader^.require(FExec, PAnsiChar(Pointer)));
end;

function TTaskBase.ConfigString(const Pointer, Default: string): string;
var
  Text: PAnsiChar;
  Size: SizeUInt;
begin
  Text := nil;
  Size := 0;
  Check(Reader^.text(FExec, PAnsiChar(Pointer), @Text, @Size));
  if Text = nil then
    Result := Default
  else
    SetString(Result, Text, Size);
end;

function TTaskBase.ConfigInteger(const Pointer: string; Least, Most, Default: Int64): Int64;
begin
  Result := Default;
  Check(Reader^.integer(FExec, PAnsiChar(Pointer), Least, Most, @Result));
end;

function TTaskBase.ConfigNumber(const Pointer: string; Default: Double): Double;
begin
  Result := Default;
  Check(Reader^.number(FExec, PAnsiChar(Pointer), @Result));
end;

function TTaskBase.ConfigBoolean(const Pointer: string; Default: Boolean): Boolean;
var
  Value: Int32;
begin
  Value := Ord(Default);
  Check(Reader^.boolean(FExec, PAnsiChar(Pointer), @Value));
  Result := Value <> 0;
end;

function TTaskBase.ConfigDuration(const Pointer: string; Default: UInt64): UInt64;
begin
  Result := Default;
  Check(Reader^.duration(FExec, PAnsiChar(Pointer), @Result));
end;

function TTaskBase.TryParseDuration(const Text: string; var Value: UInt64): Boolean;
begin
  Result := Reader^.parse_duration(PAnsiChar(Text), Length(Text), @Value) = TASKHOST_OK;
end;

function TTaskBase.ConfigCount(const Pointer: string): SizeUInt;
begin
  Result := 0;
  Check(Reader^.count(FExec, PAnsiChar(Pointer), @Result));
end;

{ TTask }

function TTask.Finish: TPollResult;
begin
  Result := prDone;
end;

function TTask.Watch(Fd: TTaskhostFd; Interests: UInt32; Tag: UInt64): Int32;
begin
  Result := FExec^.services^.watch(FExec, Fd, Interests, Tag);
end;

procedure TTask.Forget(Fd: TTaskhostFd);
begin
  FExec^.services^.watch(FExec, Fd, 0, 0);
end;

procedure TTask.Offload(Work: TWork; Tag: UInt64);
var
  Handed: TTaskhostWork;
begin
  { The host's tag is the work itself, which keeps the task's. }
  Work.FTag := Tag;
  FillChar(Handed, SizeOf(Handed), 0);
  Handed.struct_size := SizeOf(Handed);
  Handed.tag := PtrUInt(Pointer(Work));
  Handed.argument := Pointer(Work);
  Handed.run := @RunWork;
  Handed.discard := @DiscardWork;
  if FExec^.services^.offload(FExec, @Handed) = TASKHOST_OK then
    Exit;
  Work.Free;
  raise ETaskFailure.Create('no thread for work that blocks: the host''s log says why');
end;

function TTask.TakeReady(var List: array of TReadyEvent): Integer;
var
  Told: array[0..63] of TTaskhostReady;
  Most, I: Integer;
begin
  Most := Length(List);
  if Most > Length(Told) then
    Most := Length(Told);
  Result := FExec^.services^.take_ready(FExec, @Told[0], Most);
  for I := 0 to Result - 1 do
  begin
    List[I].Tag := Told[I].tag;
    List[I].What := Told[I].what;
    List[I].Work := nil;
    if Told[I].what <> TASKHOST_DONE then
      continue;
    List[I].Work := TWork(Pointer(PtrUInt(Told[I].tag)));
    List[I].Tag := List[I].Work.FTag;
  end;
end;

{ TBlockingTask }

function TBlockingTask.WaitUntil(Time: UInt64): TWaitResult;
var
  Bits: UInt32;
begin
  Bits := FExec^.services^.wait(FExec, Time);
  Result := [];
  if Bits and TASKHOST_WAIT_STOP <> 0 then
    Include(Result, wrStop);
  if Bits and TASKHOST_WAIT_WAKE <> 0 then
    Include(Result, wrWake);
  if Bits and TASKHOST_WAIT_TIME <> 0 then
    Include(Result, wrTime);
end;

function TBlockingTask.WaitFor(Delay: UInt64): TWaitResult;
var
  Now: UInt64;
begin
  Now := Clock;
  if Delay < TASKHOST_NEVER - Now then
    Result := WaitUntil(Now + Delay)
  else
    Result := WaitUntil(TASKHOST_NEVER);
end;

function TBlockingTask.WaitFd: TTaskhostFd;
begin
  Result := FExec^.services^.wait_fd(FExec);
end;

initialization
  { The host's threads are not created by Free Pascal, so nothing else tells it that there are several. Reference counts
    and the heap depend on this. }
  IsMultiThread := True;
end.
