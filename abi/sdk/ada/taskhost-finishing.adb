with Interfaces; use Interfaces;
with Taskhost.Machine;

package body Taskhost.Finishing is

   function Go (Self : in out State; Host : Execution) return Integer_32 is (Status_Of (Poll (Self, Host)));

   package Recipe is new Taskhost.Machine
     (Task_Name, Version, Description, Blocks => False, Finishes => True, State => State, Start => Start, Go => Go,
      Finish => Finish, Drop => Drop, Check => Check);
   pragma Unreferenced (Recipe);

end Taskhost.Finishing;
