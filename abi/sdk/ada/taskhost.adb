with Interfaces.C;         use Interfaces.C;
with Interfaces.C.Strings; use Interfaces.C.Strings;

package body Taskhost is

   use Interfaces;
   package ABI renames Taskhost_ABI;
   use type ABI.Services_Access;

   pragma Compile_Time_Error (Duration'Small /= 1.0E-9, "Duration does not count nanoseconds");

   procedure Tell (Host : Execution; Reason : String) is
      Ignored : constant Integer_32 := Host.Exec.Services.Fail (Host.Exec, Reason'Address, Reason'Length);
      pragma Unreferenced (Ignored);
   begin
      null;
   end Tell;

   procedure Fail (Host : Execution; Reason : String) is
   begin
      Tell (Host, Reason);
      raise Told;
   end Fail;

   function Status_Of (Result : Progress) return Integer_32 is
     (case Result is
         when Ended   => ABI.OK,
         when Pending => ABI.Pending,
         when Again   => ABI.Again);

   procedure Check (Code : Integer_32) is
   begin
      if Code /= ABI.OK then
         raise Told;
      end if;
   end Check;

   procedure Report (Host : Execution; Event : Ada.Exceptions.Exception_Occurrence; Code : out Integer_32) is
      use Ada.Exceptions;
      Cause : constant Exception_Id := Exception_Identity (Event);
   begin
      Code := (if Cause = Told'Identity or else Cause = Failure'Identity then ABI.Error else ABI.Panic);
      if Cause = Failure'Identity then
         Tell (Host, Exception_Message (Event));
      elsif Cause /= Told'Identity then
         Tell (Host, Exception_Name (Event) & ": " & Exception_Message (Event));
      end if;
   exception
      when others => null;  --  no memory for the text
   end Report;

   procedure Log (Host : Execution; Level : Severity; Text : String) is
   begin
      Host.Exec.Services.Log (Host.Exec, Severity'Pos (Level), Text'Address, Text'Length);
   end Log;

   procedure Log (Host : Execution; Text : String) is
   begin
      Log (Host, Info, Text);
   end Log;

   function Stop_Requested (Host : Execution) return Boolean is
     (Host.Exec.Services.Stop_Requested (Host.Exec) /= 0);

   function Name (Host : Execution) return String is
     (Value (Host.Exec.Services.Task_Name (Host.Exec)));

   function Number (Host : Execution) return Unsigned_64 is
     (Host.Exec.Services.Execution_Number (Host.Exec));

   function Config_Text (Host : Execution) return String is
     (Value (Host.Exec.Services.Config (Host.Exec, null)));

   procedure Ready (Host : Execution) is
   begin
      Host.Exec.Services.Ready (Host.Exec);
   end Ready;

   procedure Heartbeat (Host : Execution) is
   begin
      Host.Exec.Services.Heartbeat (Host.Exec);
   end Heartbeat;

   procedure Status (Host : Execution; Text : String) is
   begin
      Host.Exec.Services.Status (Host.Exec, Text'Address, Text'Length);
   end Status;

   function To_Nanoseconds (Span : Duration) return Unsigned_64 is
     (if Span <= 0.0 then 0 else Unsigned_64 (Integer_64'Integer_Value (Span)));

   function "+" (Left : Time; Right : Duration) return Time is
      Forward : constant Time := Time (To_Nanoseconds (Right));
      Back    : constant Time :=
        (if Right >= 0.0 then 0 elsif Right = Duration'First then 2**63 else Time (To_Nanoseconds (-Right)));
   begin
      if Back > 0 then
         return (if Left < Back then 0 else Left - Back);
      else
         return (if Forward > Never - Left then Never else Left + Forward);
      end if;
   end "+";

   function Now (Host : Execution) return Time is (Time (Host.Exec.Services.Now.all));

   procedure Wake_At (Host : Execution; Moment : Time) is
   begin
      Host.Exec.Services.Wake_At (Host.Exec, Unsigned_64 (Moment));
   end Wake_At;

   procedure Wake_After (Host : Execution; Span : Duration) is
   begin
      Host.Exec.Services.Wake_After (Host.Exec, To_Nanoseconds (Span));
   end Wake_After;

   function Wait_Until (Host : Execution; Moment : Time) return Wake_Reasons is
      Bits : constant Unsigned_32 := Host.Exec.Services.Wait (Host.Exec, Unsigned_64 (Moment));
   begin
      return (Stop      => (Bits and ABI.Wait_Stop) /= 0,
              Woken     => (Bits and ABI.Wait_Wake) /= 0,
              Time_Over => (Bits and ABI.Wait_Time) /= 0);
   end Wait_Until;

   function Wait_For (Host : Execution; Span : Duration) return Wake_Reasons is
     (Wait_Until (Host, Now (Host) + Span));

   function Wait_Descriptor (Host : Execution) return Integer is
     (Integer (Host.Exec.Services.Wait_Fd (Host.Exec)));

   function Own_Waker (Host : Execution) return Waker is
     (Value => Host.Exec.Services.Waker (Host.Exec), Services => Host.Exec.Services);

   procedure Wake (Target : Waker) is
   begin
      if Target.Services /= null then
         Target.Services.Wake (Target.Value);
      end if;
   end Wake;

end Taskhost;
