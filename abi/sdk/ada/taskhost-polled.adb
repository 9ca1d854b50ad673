with Interfaces; use Interfaces;
with Taskhost.Machine;

package body Taskhost.Polled is

   function Go (Self : in out State; Host : Execution) return Integer_32 is (Status_Of (Poll (Self, Host)));

   --  Never called.
   function Finish (Self : in out State; Host : Execution) return Progress is
      pragma Unreferenced (Self, Host);
   begin
      return Ended;
   end Finish;

   package Recipe is new Taskhost.Machine
     (Task_Name, Version, Description, Blocks => False, Finishes => False, State => State, Start => Start, Go => Go,
      Finish => Finish, Drop => Drop, Check => Check);
   pragma Unreferenced (Recipe);

end Taskhost.Polled;
