--  Taskhost.Config: values of the task's config, read and checked by the host. `Pointer` names one by its JSON pointer:
--  "/every", "/pins/0". Where there is none, the default is the answer. A value that will not do raises Told: the host
--  has then been told what it should be, so let the exception go, and the start fails with that.
--  From within the task's own subprograms only. On a host without the extension taskhost.config all raise Failure.

package Taskhost.Config is

   procedure Keys (Host : Execution; Known : String);
   --  Is everything in the config known? The keys of its top level, separated by blanks.

   procedure Require (Host : Execution; Pointer : String);
   --  Is it there? For values that have no default.

   function Text (Host : Execution; Pointer, Default : String) return String;

   function Whole_Number
     (Host    : Execution;
      Pointer : String;
      Default : Long_Long_Integer;
      Least   : Long_Long_Integer := Long_Long_Integer'First;
      Most    : Long_Long_Integer := Long_Long_Integer'Last) return Long_Long_Integer;

   function Number (Host : Execution; Pointer : String; Default : Long_Float) return Long_Float;

   function Flag (Host : Execution; Pointer : String; Default : Boolean) return Boolean;

   function Span (Host : Execution; Pointer : String; Default : Duration) return Duration;
   --  Such as "250ms", "10s" or "1.5h"; up to 365 days.

   function Count (Host : Execution; Pointer : String; Default : Natural := 0) return Natural;
   --  How many elements an array has.

end Taskhost.Config;
