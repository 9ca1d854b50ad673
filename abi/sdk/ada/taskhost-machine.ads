--  Taskhost.Machine: a factory of one kind of task, which Taskhost.Polled, Taskhost.Finishing and Taskhost.Blocking
--  instantiate.
--
--  An object of type State is created in the host's memory when an execution starts, with its defaults and Initialize,
--  and finalized when it is dropped. No exception leaves these functions.

with Interfaces;

private generic
   Task_Name, Version, Description : String;
   Blocks, Finishes : Boolean;
   type State is limited private;
   with procedure Start (Self : in out State; Host : Execution);
   with function Go (Self : in out State; Host : Execution) return Interfaces.Integer_32;
   with function Finish (Self : in out State; Host : Execution) return Progress;
   with procedure Drop (Self : in out State; Host : Execution);
   with procedure Check (Host : Execution);
package Taskhost.Machine is
   pragma Elaborate_Body;
end Taskhost.Machine;
