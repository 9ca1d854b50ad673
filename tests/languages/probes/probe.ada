--  The probe in Ada: see README.md.

package Probe is
   pragma Elaborate_Body;
end Probe;

with Interfaces;      use Interfaces;
with Taskhost;        use Taskhost;
with Taskhost.Blocking;
with Taskhost.Config;
with Taskhost.Events; use Taskhost.Events;
with Taskhost.Finishing;

package body Probe is

   type Doubling is new Work with record
      Number : Integer_64 := 21;
      Fails  : Boolean := False;
      Result : Integer_64 := 0;
   end record;

   overriding procedure Run (Self : in out Doubling) is
   begin
      delay 0.001;
      if Self.Fails then
         raise Failure with "the work failed";
      end if;
      Self.Result := 2 * Self.Number;
   end Run;

   Input_Tag : constant Unsigned_64 := 7;
   Work_Tag  : constant Unsigned_64 := 9;

   type State is limited record
      Descriptor : Integer;
      Fails      : Boolean;
      Reading    : Work_Access;
      Work_Done  : Boolean := False;
      Finishes   : Natural := 0;
   end record;

   function Descriptor_Of (Host : Execution) return Integer is
     (Integer (Taskhost.Config.Whole_Number (Host, "/fd", 0)));

   procedure Check (Host : Execution) is
      Delay_Span             : Duration := 0.0;
      Is_Read, Nonsense_Read : Boolean;
   begin
      Taskhost.Config.Parse_Span (Host, "250ms", Delay_Span, Is_Read);
      Taskhost.Config.Parse_Span (Host, "soon", Delay_Span, Nonsense_Read);
      if not Is_Read or Nonsense_Read or Delay_Span /= 0.25 then
         raise Failure with "reads no durations";
      end if;
      if Descriptor_Of (Host) < 0 then
         raise Failure with "fd: must not be negative";
      end if;
   end Check;

   procedure Start (Self : in out State; Host : Execution) is
   begin
      Check (Host);
      Self.Descriptor := Descriptor_Of (Host);
      Self.Fails := Taskhost.Config.Whole_Number (Host, "/fail", 0) /= 0;
      Status (Host, "waiting");
      Watch (Host, Self.Descriptor, Readable => True, Tag => Input_Tag);
   end Start;

   function Poll (Self : in out State; Host : Execution) return Progress is
   begin
      if Self.Work_Done or else Stop_Requested (Host) then
         return Ended;
      end if;
      for Event of Take_Ready (Host) loop
         if Event.Tag = Input_Tag then
            Log (Host, "ready" & Event.Tag'Image & (if Event.Readable and not Event.Writable then " 1" else " ?"));
            Forget (Host, Self.Descriptor);
            Self.Reading := new Doubling'(Work with Fails => Self.Fails, others => <>);
            Offload (Host, Self.Reading, Work_Tag);
            Status (Host, "working");
         else
            Self.Reading := Event.Work;
            Check (Self.Reading.all);
            Log (Host, "done" & Event.Tag'Image & Doubling (Self.Reading.all).Result'Image);
            Self.Work_Done := True;
            return Again;
         end if;
      end loop;
      return Pending;
   end Poll;

   function Finish (Self : in out State; Host : Execution) return Progress is
   begin
      Self.Finishes := Self.Finishes + 1;
      case Self.Finishes is
         when 1 => return Again;
         when 2 =>
            Wake_After (Host, 0.001);
            return Pending;
         when others =>
            Log (Host, "finishing");
            return Ended;
      end case;
   end Finish;

   procedure Drop (Self : in out State; Host : Execution) is
   begin
      Free (Self.Reading);
      Log (Host, "dropped");
   end Drop;

   package First is new Taskhost.Finishing ("probe", "1.0", "", State, Start, Poll, Finish, Drop, Check);
   pragma Unreferenced (First);

   type Nothing is null record;

   procedure Run (Self : in out Nothing; Host : Execution) is
      pragma Unreferenced (Self);
   begin
      Log (Host, "wait_fd" & Wait_Descriptor (Host)'Image);
   end Run;

   package Second is new Taskhost.Blocking ("waiter", "1.0", "", Nothing, Run => Run);
   pragma Unreferenced (Second);

end Probe;
