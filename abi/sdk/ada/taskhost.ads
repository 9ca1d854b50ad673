--  Taskhost: what a task calls. Below it are the generic packages that make a task: Taskhost.Polled and
--  Taskhost.Blocking; and the extensions: Taskhost.Config and Taskhost.Signals.
--
--  Errors: a task that raises Failure fails with its message, any other exception is the outcome panic. No exception
--  leaves the plugin.
--  Threads: what is marked [any thread] may be called from any thread from start to drop, the rest only from within the
--  task's own subprograms. Those are called by several of the host's threads, two for the same execution never at once;
--  package-level variables are shared by all executions.
--  Ownership: nothing here has to be given back.

with Ada.Exceptions;
with Interfaces;
private with Taskhost_ABI;

package Taskhost is

   Failure : exception;
   --  An expected failure: the outcome error, with the exception's message. Ada keeps 200 bytes of a message; Fail
   --  below has room for more.

   Told : exception;
   --  The same, where the host knows the reason already: raised by Fail, and by a config value that will not do.

   type Execution is private;
   --  One execution, as the host knows it. A reference: copy it, until drop has returned.

   type Progress is (Ended, Pending);
   --  What a poll answers.

   procedure Fail (Host : Execution; Reason : String) with No_Return;
   --  Ends the execution with the outcome error: raises Told. The host keeps 4096 bytes of the reason.

   type Severity is (Trace, Debug, Info, Warning, Error);

   procedure Log (Host : Execution; Level : Severity; Text : String);
   procedure Log (Host : Execution; Text : String);
   --  [any thread] A line in the host's log, at level Info if none is given. Text is UTF-8, up to 4096 bytes.

   function Stop_Requested (Host : Execution) return Boolean;
   --  [any thread] The host asks for the end. The execution is woken when that happens.

   function Name (Host : Execution) return String;
   function Number (Host : Execution) return Interfaces.Unsigned_64;
   function Config_Text (Host : Execution) return String;
   --  [any thread] The task's name; how many executions it has had, this one included; its config as JSON text, which
   --  package Taskhost.Config reads.

   procedure Ready (Host : Execution);
   procedure Heartbeat (Host : Execution);
   --  [any thread] It is ready for what it is there for; it is alive.

   type Time is new Interfaces.Unsigned_64;
   --  Nanoseconds on a monotonic clock that began sometime. Compare them with < and the like.

   Never : constant Time := Time'Last;

   function "+" (Left : Time; Right : Duration) return Time;
   --  Neither before 0 nor after Never.

   function Now (Host : Execution) return Time;
   --  [any thread]

   procedure Wake_At (Host : Execution; Moment : Time);
   procedure Wake_After (Host : Execution; Span : Duration);
   --  Has the execution polled again then, never before. It has one timer: a new time replaces the old, Never clears
   --  it.

   function Wake_On (Host : Execution; Descriptor : Integer; Readable, Writable : Boolean := False) return Boolean;
   --  Has it polled once the descriptor is ready, for one wake. With neither the wait is forgotten, as must be done
   --  before the descriptor is closed. False: it can't be waited for.

   type Wake_Reasons is record
      Stop, Woken, Time_Over : Boolean;
   end record;

   function Wait_Until (Host : Execution; Moment : Time) return Wake_Reasons;
   function Wait_For (Host : Execution; Span : Duration) return Wake_Reasons;
   --  For Taskhost.Blocking only: sleeps until then, a wake, or the stop. In a polled task it returns at once.

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
   --  The host's fail.

   procedure Report (Host : Execution; Event : Ada.Exceptions.Exception_Occurrence; Code : out Interfaces.Integer_32);
   --  What a call of the task's has to return because of an exception. Raises none.

   procedure Check (Code : Interfaces.Integer_32);
   --  Raises Told unless it is OK.

   function To_Nanoseconds (Span : Duration) return Interfaces.Unsigned_64;

end Taskhost;
