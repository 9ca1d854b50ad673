--  Taskhost.Finishing: a polled task whose end takes time, such as closing a connection. Otherwise like
--  Taskhost.Polled.

generic
   Task_Name   : String;
   Version     : String;
   Description : String;

   type State is limited private;

   with procedure Start (Self : in out State; Host : Execution) is null;

   with function Poll (Self : in out State; Host : Execution) return Progress;

   with function Finish (Self : in out State; Host : Execution) return Progress;
   --  Called like Poll after the execution has ended or failed, until it returns Ended, for up to the task's
   --  stop_timeout. The outcome is already decided: an exception is logged.

   with procedure Drop (Self : in out State; Host : Execution) is null;

   with procedure Check (Host : Execution) is null;
package Taskhost.Finishing is
   pragma Elaborate_Body;
end Taskhost.Finishing;
