with Interfaces; use Interfaces;
with Taskhost.Machine;

package body Taskhost.Blocking is

   function Go (Self : in out State; Host : Execution) return Integer_32 is
   begin
      Run (Self, Host);
      return Taskhost_ABI.OK;
   end Go;

   --  Never called.
   function Finish (Self : in out State; Host : Execution) return Progress is
      pragma Unreferenced (Self, Host);
   begin
      return Ended;
   end Finish;

   package Recipe is new Taskhost.Machine
     (Task_Name, Version, Description, Blocks => True, Finishes => False, State => State, Start => Start, Go => Go,
      Finish => Finish, Drop => Drop, Check => Check);
   pragma Unreferenced (Recipe);

end Taskhost.Blocking;
