--  Taskhost: what a task calls. Its child packages are the generic packages for tasks, Taskhost.Polled,
--  Taskhost.Finishing and Taskhost.Blocking; what polled tasks can wait for, Taskhost.Events; and the extensions,
--  Taskhost.Config and Taskhost.Signals.
--
--  Errors: a task that raises Failure fails with its message; any other exception is the outcome panic. No exception
--  leaves the plugin.
--  Threads: subprograms marked [any thread] may be called on any thread from start to drop, the others only from the
--  task's own subprograms. The host calls those on several threads, but never concurrently for the same execution;
--  package-level variables are shared by all executions.
--  Ownership: nothing here has to be released.

with Ada.Exceptions;
with Interfaces;
private with Taskhost_ABI;

package Taskhost is

   Failure : exception;
   --  An expected failure: the outcome error, with the exception's message. Ada keeps 200 bytes of a message; Fail
   --  below takes more.

   Told : exception;
   --  The same, if the host already knows the reason: raised by Fail, and for a wrong config value.

   type Execution is private;
   --  A reference to one execution in the host: copy it freely; it is valid until drop has returned.

   type Progress is (Ended, Pending, Again);
   --  The result of a poll. Pending: to be polled again after a wake. Again: to be polled again after the other tasks
   --  have had their turn.

   procedure Fail (Host : Execution; Reason : String) with No_Return;
   --  Ends the execution with the outcome error: raises Told. The host keeps 4096 bytes of the reason.

   type Severity is (Trace, Debug, Info, Warning, Error);

   procedure Log (Host : Execution; Level : Severity; Text : String);
   procedure Log (Host : Execution; Text : String);
   --  [any thread] A line in the host's log, at level Info if none is given. Text is UTF-8, up to 4096 bytes.

   function Stop_Requested (Host : Execution) return Boolean;
   --  [any thread] True once the host asks the execution to end. The execution is woken when that happens.

   function Name (Host : Execution) return String;
   function Number (Host : Execution) return Interfaces.Unsigned_64;
   function Config_Text (Host : Execution) return String;
   --  [any thread] The task's name; the number of its executions, including this one; its config as JSON text, which
   --  package Taskhost.Config reads.

   procedure Ready (Host : Execution);
   procedure Heartbeat (Host : Execution);
   --  [any thread] Reports that the execution is ready to do its job; a sign of life for the task's watchdog.

   procedure Status (Host : Execution; Text : String);
   --  [any thread] What the execution is doing, for operators: one line, UTF-8, up to 256 bytes.

   type Time is new Interfaces.Unsigned_64;
   --  Nanoseconds from an arbitrary point on a monotonic clock. Compare them with < and the like.

   Never : constant Time := Time'Last;

   function "+" (Left : Time; Right : Duration) return Time;
   --  The results are limited to the range from 0 to Never.

   function Now (Host : Execution) return Time;
   --  [any thread]

   procedure Wake_At (Host : Execution; Moment : Time);
   procedure Wake_After (Host : Execution; Span : Duration);
   --  Has the execution polled again at that time, never earlier. It has one timer: a new time replaces the old one,
   --  Never clears it.

   type Wake_Reasons is record
      Stop, Woken, Time_Over : Boolean;
   end record;

   function Wait_Until (Host : Execution; Moment : Time) return Wake_Reasons;
   function Wait_For (Host : Execution; Span : Duration) return Wake_Reasons;
   --  For Taskhost.Blocking only: sleeps until that time, a wake, or the stop. In a polled task it returns at once.

   function Wait_Descriptor (Host : Execution) return Integer;
   --  For Taskhost.Blocking only, for a loop of the task's own: a descriptor that is readable while a wait would return
   --  for a wake or the stop. It is the host's: never read or close it. -1: there is none.

   type Waker is private;
   --  Wakes one execution. A value: keep it for ever; once the execution has ended it does nothing.

   No_Waker : constant Waker;

   function Own_Waker (Host : Execution) return Waker;

   procedure Wake (Target : Waker);
   --  [any thread, at any time]

private

   type Execution is record
      Exec : Taskhost_ABI.Exec_Access;
   end record;

   type Waker is record
      Value    : Taskhost_ABI.Waker := 0;
      Services : Taskhost_ABI.Services_Access;
   end record;

   No_Waker : constant Waker := (0, null);

   procedure Tell (Host : Execution; Reason : String);
   --  Calls the host's fail.

   procedure Report (Host : Execution; Event : Ada.Exceptions.Exception_Occurrence; Code : out Interfaces.Integer_32);
   --  The status that a function of the task must return after an exception. Raises none itself.

   function Status_Of (Result : Progress) return Interfaces.Integer_32;

   procedure Check (Code : Interfaces.Integer_32);
   --  Raises Told unless the status is OK.

   function To_Nanoseconds (Span : Duration) return Interfaces.Unsigned_64;

end Taskhost;
