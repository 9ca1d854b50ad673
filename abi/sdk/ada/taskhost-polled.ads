--  Taskhost.Polled: a task that shares its thread with others, and so never blocks. Each instance is a factory of the
--  plugin; a plugin may have several, with different names. Instantiate it at library level: in a package, not in a
--  subprogram.
--
--     type Counter is limited record
--        Seen : Natural := 0;
--     end record;
--
--     function Poll (Self : in out Counter; Host : Taskhost.Execution) return Taskhost.Progress;
--
--     package Plugin is new Taskhost.Polled ("counter", "1.0", "counts", Counter, Poll => Poll);

generic
   Task_Name   : String;
   Version     : String;
   Description : String;

   type State is limited private;
   --  One execution. Created in the host's memory, with its defaults, before Start; finalized after Drop.

   with procedure Start (Self : in out State; Host : Execution) is null;
   --  An exception makes the start fail: Failure with the outcome error, others with panic. Then Drop is not called.

   with function Poll (Self : in out State; Host : Execution) return Progress;
   --  Goes as far as it can without blocking. Pending: call it again after a wake, which it has arranged. Again: it has
   --  more to do, and gives way to other tasks. Ended: it has ended well. Called once after Start, and then after each
   --  wake; a wake may come for no reason.

   with procedure Drop (Self : in out State; Host : Execution) is null;
   --  Called once for each start that succeeded, also when the host cancels the execution. An exception is logged. Of
   --  what the Host offers only what is marked [any thread] is there.

   with procedure Check (Host : Execution) is null;
   --  Raises Failure if the config is one that no execution could live with. Called before the host starts, and by
   --  "taskhost check", on any thread. Of what the Host offers only Log, Fail, Name, Now, Config_Text and
   --  Taskhost.Config are there.
package Taskhost.Polled is
   pragma Elaborate_Body;
end Taskhost.Polled;
