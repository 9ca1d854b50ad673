--  Taskhost.Signals: the process's signals as a service of the host; a plugin installs no handler. While an execution
--  is subscribed to Interrupt or Terminate, the first of them is left to it and does not stop the host.
--  Call these from the task's own subprograms only. On a host without the extension both raise Failure.

package Taskhost.Signals is

   type Signal is (Interrupt, Terminate_Process, Hangup, User_1, User_2);
   type Signal_Set is array (Signal) of Boolean;

   procedure Subscribe (Host : Execution; Wanted : Signal_Set);
   --  Has the execution woken by these signals; replaces an earlier subscription, and ends with the execution.

   function Take (Host : Execution) return Signal_Set;
   --  The signals that have come since the last call.

end Taskhost.Signals;
