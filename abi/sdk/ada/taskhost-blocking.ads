--  Taskhost.Blocking: a task that may block: each execution has a thread of its own. The rest is as in Taskhost.Polled.

generic
   Task_Name   : String;
   Version     : String;
   Description : String;

   type State is limited private;

   with procedure Start (Self : in out State; Host : Execution) is null;
   --  On a thread that it shares: does not block.

   with procedure Run (Self : in out State; Host : Execution);
   --  Returning is a good end. Sleep with Wait_For and Wait_Until, and return when they or Stop_Requested tell of the
   --  stop.

   with procedure Drop (Self : in out State) is null;
package Taskhost.Blocking is
   pragma Elaborate_Body;
end Taskhost.Blocking;
