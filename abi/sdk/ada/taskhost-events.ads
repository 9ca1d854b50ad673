--  Taskhost.Events: what polled tasks can wait for besides time: descriptors, and work that blocks on another thread.
--  Call these from the Start, Poll or Finish of an instance of Taskhost.Polled or Taskhost.Finishing.

package Taskhost.Events is

   procedure Watch
     (Host               : Execution;
      Descriptor         : Integer;
      Readable, Writable : Boolean := False;
      Tag                : Interfaces.Unsigned_64 := 0);
   --  Has the execution polled as long as the descriptor is ready for one of these. Replaces an earlier watch of it.
   --  The descriptor remains the task's. Raises Failure if the host refuses it: if it is closed, or always ready as
   --  files are.

   procedure Forget (Host : Execution; Descriptor : Integer);
   --  Ends the watch: to be called before the descriptor is closed. In Drop the host has already forgotten all of them.

   type Work is abstract tagged limited private;
   --  Work that blocks: extend it with what the work needs and what it results in.

   type Work_Access is access all Work'Class;
   pragma No_Strict_Aliasing (Work_Access);

   procedure Run (Self : in out Work) is abstract;
   --  Called on another thread, which it may block. It uses nothing of an execution, which may end in the meantime.

   procedure Offload (Host : Execution; Item : in out Work_Access; Tag : Interfaces.Unsigned_64 := 0);
   --  Hands over the work, which must have been created with "new"; Item becomes null. When Run has returned, the
   --  execution is polled, and Take_Ready gives the work back. If the execution ends before, the work goes on, and is
   --  then freed. If the host has no thread for it, it is freed at once, and Failure is raised.

   procedure Check (Item : Work'Class);
   --  Raises what Run has raised, if anything.

   procedure Free (Item : in out Work_Access);

   type Event is record
      Tag                        : Interfaces.Unsigned_64;
      Readable, Writable, Broken : Boolean;
      --  Broken: an error, or the other side is gone; Readable and Writable are then set as well.
      Work                       : Work_Access;
      --  Offloaded work that is done and is the task's again, which frees it; null for a descriptor.
   end record;

   type Event_List is array (Positive range <>) of Event;

   function Take_Ready (Host : Execution; Most : Positive := 16) return Event_List;
   --  What is ready now, possibly nothing. A descriptor comes again as long as it is ready, work once.

private

   type Work is abstract tagged limited record
      Tag    : Interfaces.Unsigned_64 := 0;
      Raised : Ada.Exceptions.Exception_Occurrence;
   end record;

end Taskhost.Events;
