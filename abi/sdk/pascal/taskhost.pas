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
  other with `panic`, each with its message. An exception from a destructor is logged.

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

  { prPending: not done; poll again after a wake. prDone: the execution has ended well. }
  TPollResult = (prPending, prDone);

  TWaitResult = set of (wrStop, wrWake, wrTime);

  { Wakes its execution from any thread, at any time; after the execution's end it does nothing. }
  TWaker = record
    Services: PTaskhostServices;
    Value: TTaskhostWaker;
    procedure Wake;
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
    { [any-thread] nil if this host has none with that id and revision. }
    function Extension(const Id: string; Revision: UInt32): Pointer;
    { [any-thread] nil if the embedding program handles signals itself. }
    function Signals: PTaskhostSignals;
    function Waker: TWaker;
    { One timer: a new time replaces the old one, TASKHOST_NEVER clears it. Never early. }
    procedure WakeAt(Time: UInt64);
    procedure WakeAfter(Delay: UInt64);
    { One wake, when the descriptor is ready for TASKHOST_READABLE or TASKHOST_WRITABLE. 0 cancels the wait, which must
      be done before closing. False for a descriptor that cannot be waited for. }
    function WakeOnFd(Fd: Int32; Interests: UInt32): Boolean;

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
    function ConfigCount(const Pointer: string): SizeUInt;
  end;
  TTaskClass = class of TTaskBase;

  { A task that shares its thread: Poll goes as far as it can without blocking. }
  TTask = class(TTaskBase)
  protected
    function Poll: TPollResult; virtual; abstract;
  end;

  { A task that may block: Run has a thread of its own, and its return ends the execution. Wakes end its waits. }
  TBlockingTask = class(TTaskBase)
  protected
    procedure Run; virtual; abstract;
  public
    function WaitUntil(Time: UInt64): TWaitResult;
    function WaitFor(Delay: UInt64): TWaitResult;
  end;

  { The recipe for executions of one class. Call Add in the main block of the library, once for each task; it keeps the
    texts. The first task of the library is used if the manifest does not select one. }
  generic TTaskKind<T: TTaskBase> = class
  private
    class function StartOne(State: Pointer; TheExec: PTaskhostExec): Int32; cdecl; static;
  public
    class procedure Add(const Name, Version, Description: string); static;
  end;

{ Used by TTaskKind. }
function StartTask(TaskClass: TTaskClass; State: Pointer; TheExec: PTaskhostExec): Int32;
procedure AddTask(TaskClass: TTaskClass; Start: TTaskhostStart; const Name, Version, Description: string);

{ The one function that the library must export. }
function taskhost_plugin_v1: PTaskhostFactory; cdecl;

implementation

{ The border. No exception may leave the functions marked cdecl (rule 3.6). }

procedure FailWith(TheExec: PTaskhostExec; const Text: string);
begin
  if Text <> '' then
    TheExec^.services^.fail(TheExec, PAnsiChar(Text), Length(Text));
end;

{ The outcome of an execution that an exception has left. }
function Outcome(TheExec: PTaskhostExec; E: TObject): Int32;
begin
  if E is ETaskFailure then
  begin
    FailWith(TheExec, ETaskFailure(E).Message);
    Exit(TASKHOST_ERROR);
  end;
  if (E is Exception) and (Exception(E).Message <> '') then
    FailWith(TheExec, Exception(E).Message)
  else
    FailWith(TheExec, E.ClassName);
  Result := TASKHOST_PANIC;
end;

procedure FreeTask(Task: TTaskBase);
var
  TheExec: PTaskhostExec;
  Text: string;
begin
  TheExec := Task.FExec;
  try
    Task.Free;
  except
    on E: TObject do
    begin
      Text := 'exception when dropped: ' + E.ClassName;
      if E is Exception then
        Text := Text + ': ' + Exception(E).Message;
      TheExec^.services^.log(TheExec, TASKHOST_LOG_ERROR, PAnsiChar(Text), Length(Text));
    end;
  end;
end;

function StartTask(TaskClass: TTaskClass; State: Pointer; TheExec: PTaskhostExec): Int32;
var
  Task: TTaskBase;
begin
  Task := nil;
  try
    Task := TaskClass.Create;
    Task.FExec := TheExec;
    Task.Start;
    TTaskBase(State^) := Task;
    Exit(TASKHOST_OK);
  except
    on E: TObject do
      Result := Outcome(TheExec, E);
  end;
  if Task <> nil then
    FreeTask(Task);
end;

function PollTask(State: Pointer; TheExec: PTaskhostExec): Int32; cdecl;
begin
  try
    if TTask(State^).Poll = prPending then
      Result := TASKHOST_PENDING
    else
      Result := TASKHOST_OK;
  except
    on E: TObject do
      Result := Outcome(TheExec, E);
  end;
end;

function RunTask(State: Pointer; TheExec: PTaskhostExec): Int32; cdecl;
begin
  try
    TBlockingTask(State^).Run;
    Result := TASKHOST_OK;
  except
    on E: TObject do
      Result := Outcome(TheExec, E);
  end;
end;

procedure DropTask(State: Pointer); cdecl;
begin
  FreeTask(TTaskBase(State^));
end;

{ The factories: created while the library is loaded, by the one thread that loads it, and never changed or freed. }

type
  PKind = ^TKind;
  TKind = record
    Factory: TTaskhostFactory;
    Name, Version, Description: string;
  end;

var
  FirstFactory, LastFactory: PTaskhostFactory;

function TextOrNil(const Text: string): PAnsiChar;
begin
  if Text = '' then
    Result := nil
  else
    Result := PAnsiChar(Text);
end;

procedure AddTask(TaskClass: TTaskClass; Start: TTaskhostStart; const Name, Version, Description: string);
var
  Kind: PKind;
begin
  New(Kind);
  Kind^.Name := Name;
  Kind^.Version := Version;
  Kind^.Description := Description;
  FillChar(Kind^.Factory, SizeOf(Kind^.Factory), 0);
  Kind^.Factory.struct_size := SizeOf(Kind^.Factory);
  Kind^.Factory.name := PAnsiChar(Kind^.Name);
  Kind^.Factory.version := TextOrNil(Kind^.Version);
  Kind^.Factory.description := TextOrNil(Kind^.Description);
  Kind^.Factory.state_size := SizeOf(TTaskBase);
  Kind^.Factory.start := Start;
  if TaskClass.InheritsFrom(TBlockingTask) then
    Kind^.Factory.run := @RunTask
  else if TaskClass.InheritsFrom(TTask) then
    Kind^.Factory.poll := @PollTask;
  Kind^.Factory.drop := @DropTask;
  if LastFactory = nil then
    FirstFactory := @Kind^.Factory
  else
    LastFactory^.next := @Kind^.Factory;
  LastFactory := @Kind^.Factory;
end;

function taskhost_plugin_v1: PTaskhostFactory; cdecl;
begin
  Result := FirstFactory;
end;

class function TTaskKind.StartOne(State: Pointer; TheExec: PTaskhostExec): Int32; cdecl;
begin
  Result := StartTask(T, State, TheExec);
end;

class procedure TTaskKind.Add(const Name, Version, Description: string);
begin
  AddTask(T, @StartOne, Name, Version, Description);
end;

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

function TTaskBase.WakeOnFd(Fd: Int32; Interests: UInt32): Boolean;
begin
  Result := FExec^.services^.wake_on_fd(FExec, Fd, Interests) = TASKHOST_OK;
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

function TTaskBase.ConfigCount(const Pointer: string): SizeUInt;
begin
  Result := 0;
  Check(Reader^.count(FExec, PAnsiChar(Pointer), @Result));
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

initialization
  { The host's threads are not created by Free Pascal, so nothing else tells it that there are several. Reference counts
    and the heap depend on this. }
  IsMultiThread := True;
end.
