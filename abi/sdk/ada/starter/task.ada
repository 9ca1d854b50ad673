--  @NAME@: greets at an interval, until it is stopped or has greeted "times" times.

package Greeter is
   pragma Elaborate_Body;
end Greeter;

with Ada.Strings.Unbounded; use Ada.Strings.Unbounded;
with Taskhost;              use Taskhost;
with Taskhost.Config;
with Taskhost.Polled;

package body Greeter is

   type Ending is (Well, Failing, Raising);

   --  One execution; the host provides the memory.
   type State is limited record
      Greeting : Unbounded_String;
      Every    : Duration;
      Times    : Long_Long_Integer;  --  0: unlimited
      Finish   : Ending := Well;
      Done     : Long_Long_Integer := 0;
      Next     : Time := 0;  --  of the next greeting
   end record;

   procedure Start (Self : in out State; Host : Execution) is
   begin
      --  A wrong value raises an exception; the host already knows the reason.
      Config.Keys (Host, "greeting every times end");
      Self.Greeting := To_Unbounded_String (Config.Text (Host, "/greeting", "hello from Ada"));
      Self.Every := Config.Span (Host, "/every", 1.0);
      Self.Times := Config.Whole_Number (Host, "/times", 0, Least => 0);
      declare
         Word : constant String := Config.Text (Host, "/end", "ok");
      begin
         if Word = "error" then
            Self.Finish := Failing;
         elsif Word = "panic" then
            Self.Finish := Raising;
         elsif Word /= "ok" then
            Fail (Host, "config: /end: must be ""ok"", ""error"" or ""panic""");
         end if;
      end;
   end Start;

   --  Called before the host starts, and by "taskhost check": raises an exception if no execution could live with the
   --  config.
   procedure Check (Host : Execution) is
      Self : State;
   begin
      Start (Self, Host);
   end Check;

   --  Called once after the start, then after each wake: by the timer, by the stop, or for no reason at all.
   function Poll (Self : in out State; Host : Execution) return Progress is
      Moment : constant Time := Now (Host);
   begin
      if Stop_Requested (Host) then
         return Ended;
      end if;
      if Moment >= Self.Next then
         Log (Host, To_String (Self.Greeting));
         Ready (Host);
         Self.Done := Self.Done + 1;
         if Self.Done = Self.Times then
            case Self.Finish is
               when Well    => return Ended;
               when Failing => raise Failure with "was told to fail";
               when Raising => raise Program_Error with "was told to panic";
            end case;
         end if;
         Self.Next := Moment + Self.Every;
      end if;
      Wake_At (Host, Self.Next);
      return Pending;
   end Poll;

   package Plugin is new Taskhost.Polled ("@NAME@", "1.0", "greets at an interval", State, Start, Poll,
                                         Check => Check);
   pragma Unreferenced (Plugin);

end Greeter;
