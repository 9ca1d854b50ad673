--  Taskhost.Blocking: a task that may block; each execution has a thread of its own. Otherwise like Taskhost.Polled.

generic
   Task_Name   : String;
   Version     : String;
   Description : String;

   type State is limited private;

   with procedure Start (Self : in out State; Host : Execution) is null;
   --  Runs on a shared thread: must not block.

   with procedure Run (Self : in out State; Host : Execution);
   --  Returning ends the execution well. Sleep with Wait_For and Wait_Until, and return when they or Stop_Requested
   --  report the stop.

   with procedure Drop (Self : in out State; Host : Execution) is null;

   with procedure Check (Host : Execution) is null;
package Taskhost.Blocking is
   pragma Elaborate_Body;
end Taskhost.Blocking;
