--  Taskhost.Signals: the process's signals as a service of the host; a plugin installs no handler. While an execution
--  subscribes to Interrupt or Terminate, the first of them is its business, and the host does not stop because of it.
--  From within the task's own subprograms only. On a host without the extension both raise Failure.

package Taskhost.Signals is

   type Signal is (Interrupt, Terminate_Process, Hangup, User_1, User_2);
   type Signal_Set is array (Signal) of Boolean;

   procedure Subscribe (Host : Execution; Wanted : Signal_Set);
   --  Has the execution woken by these; replaces an earlier call, and ends with the execution.

   function Take (Host : Execution) return Signal_Set;
   --  Those that have come since the last call.

end Taskhost.Signals;
