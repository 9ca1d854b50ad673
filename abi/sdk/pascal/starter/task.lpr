{ @NAME@: greets at an interval, until it is stopped or has greeted "times" times. }
library task;

{$mode objfpc}{$H+}

uses
  taskhost, taskhostabi, SysUtils;

type
  { One execution. }
  TGreeter = class(TTask)
  private
    FGreeting, FEnd: string;
    FEvery: UInt64;
    FTimes: Int64; // 0: unlimited
    FDone: Int64;
    FNext: UInt64; // time of the next greeting
  protected
    procedure Start; override;
    procedure CheckConfig; override;
    function Poll: TPollResult; override;
  end;

  TGreeterKind = specialize TTaskKind<TGreeter>;

procedure TGreeter.Start;
begin
  ConfigKeys('greeting every times end');
  FGreeting := ConfigString('/greeting', 'hello from Free Pascal');
  FEvery := ConfigDuration('/every', TASKHOST_SECOND);
  FTimes := ConfigInteger('/times', 0, High(Int64), 0);
  FEnd := ConfigString('/end', 'ok');
  if (FEnd <> 'ok') and (FEnd <> 'error') and (FEnd <> 'panic') then
    raise ETaskFailure.Create('config: /end: must be "ok", "error" or "panic"');
end;

{ Called before the host starts, and by "taskhost check": raises an exception if no execution could live with the
  config. }
procedure TGreeter.CheckConfig;
begin
  Start;
end;

{ Called once after Start, then after each wake: by the timer, by the stop, or for no reason at all. }
function TGreeter.Poll: TPollResult;
var
  Time: UInt64;
begin
  if StopRequested then
    Exit(prDone);
  Time := Clock;
  if Time >= FNext then
  begin
    Info(FGreeting);
    Ready;
    Inc(FDone);
    if FDone = FTimes then
      case FEnd of
        'ok': Exit(prDone);
        'error': raise ETaskFailure.Create('was told to fail');
        'panic': raise Exception.Create('was told to panic');
      end;
    FNext := Time + FEvery;
  end;
  WakeAt(FNext);
  Result := prPending;
end;

exports
  taskhost_plugin_v1;

begin
  TGreeterKind.Add('@NAME@', '1.0', 'greets at an interval');
end.
