{ The probe in Free Pascal: see README.md. }
library probe;

{$mode objfpc}{$H+}

uses
  taskhost, taskhostabi, SysUtils;

const
  InputTag = 7;
  WorkTag = 9;

type
  TDoubling = class(TWork)
  private
    FNumber: Int64;
    FText: string;
    FFails: Boolean;
  protected
    procedure Run; override;
  end;

  TProbe = class(TTask)
  private
    FFd: Int64;
    FFails, FWorkDone: Boolean;
    FFinishes: Integer;
    FWork: TDoubling;
    procedure ReadConfig;
  protected
    procedure Start; override;
    procedure CheckConfig; override;
    function Poll: TPollResult; override;
    function Finish: TPollResult; override;
  public
    destructor Destroy; override;
  end;
  TProbeKind = specialize TTaskKind<TProbe>;

  TWaiter = class(TBlockingTask)
  protected
    procedure Run; override;
  end;
  TWaiterKind = specialize TTaskKind<TWaiter>;

procedure TDoubling.Run;
begin
  Sleep(1);
  if FFails then
    raise ETaskFailure.Create('the work failed');
  FText := IntToStr(2 * FNumber);
end;

procedure TProbe.ReadConfig;
var
  Delay: UInt64;
begin
  ConfigKeys('fd fail');
  Delay := 0;
  if not TryParseDuration('250ms', Delay) or TryParseDuration('soon', Delay) or (Delay <> 250000000) then
    raise ETaskFailure.Create('reads no durations');
  FFd := ConfigInteger('/fd', Low(Int64), High(Int64), 0);
  FFails := ConfigInteger('/fail', 0, 1, 0) <> 0;
  if FFd < 0 then
    raise ETaskFailure.Create('fd: must not be negative');
end;

procedure TProbe.CheckConfig;
begin
  ReadConfig;
end;

procedure TProbe.Start;
begin
  ReadConfig;
  Status('waiting');
  if Watch(FFd, TASKHOST_READABLE, InputTag) <> TASKHOST_OK then
    raise ETaskFailure.Create('cannot wait');
end;

function TProbe.Poll: TPollResult;
var
  Events: array[0..15] of TReadyEvent;
  Work: TDoubling;
  I: Integer;
begin
  if FWorkDone or StopRequested then
    Exit(prDone);
  for I := 0 to TakeReady(Events) - 1 do
    if Events[I].Tag = InputTag then
    begin
      Info(Format('ready %d %d', [Events[I].Tag, Events[I].What]));
      Forget(FFd);
      Work := TDoubling.Create;
      Work.FNumber := 21;
      Work.FFails := FFails;
      Offload(Work, WorkTag);
      Status('working');
    end
    else
    begin
      FWork := TDoubling(Events[I].Work);
      FWork.RaiseException;
      Info(Format('done %d %s', [Events[I].Tag, FWork.FText]));
      FWorkDone := True;
      Exit(prAgain);
    end;
  Result := prPending;
end;

function TProbe.Finish: TPollResult;
begin
  Inc(FFinishes);
  case FFinishes of
    1: Exit(prAgain);
    2:
    begin
      WakeAfter(TASKHOST_MILLISECOND);
      Exit(prPending);
    end;
  end;
  Info('finishing');
  Result := prDone;
end;

destructor TProbe.Destroy;
begin
  FWork.Free;
  if Exec <> nil then
    Info('dropped');
  inherited Destroy;
end;

procedure TWaiter.Run;
begin
  Info('wait_fd ' + IntToStr(WaitFd));
end;

exports
  taskhost_plugin_v1;

begin
  TProbeKind.Add('probe', '1.0', '');
  TWaiterKind.Add('waiter', '1.0', '');
end.
