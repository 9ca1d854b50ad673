with Interfaces; use Interfaces;
with Taskhost.Machine;

package body Taskhost.Blocking is

   function Go (Self : in out State; Host : Execution) return Integer_32 is
   begin
      Run (Self, Host);
      return Taskhost_ABI.OK;
   end Go;

   package Recipe is new Taskhost.Machine (Task_Name, Version, Description, True, State, Start, Go, Drop);
   pragma Unreferenced (Recipe);

end Taskhost.Blocking;
