with Interfaces; use Interfaces;
with Taskhost.Machine;

package body Taskhost.Polled is

   function Go (Self : in out State; Host : Execution) return Integer_32 is
     (case Progress'(Poll (Self, Host)) is
         when Ended   => Taskhost_ABI.OK,
         when Pending => Taskhost_ABI.Pending);

   package Recipe is new Taskhost.Machine (Task_Name, Version, Description, False, State, Start, Go, Drop);
   pragma Unreferenced (Recipe);

end Taskhost.Polled;
