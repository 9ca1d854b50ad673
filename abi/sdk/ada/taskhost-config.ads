--  Taskhost.Config: values of the task's config, read and checked by the host. `Pointer` names one by its JSON pointer:
--  "/every", "/pins/0". If there is no value, the default is returned. A wrong value raises Told: the host then has the
--  message, so do not handle the exception, and the start fails with that message.
--  Call these from the task's own subprograms only. On a host without the extension taskhost.config all raise Failure.

package Taskhost.Config is

   procedure Keys (Host : Execution; Known : String);
   --  Rejects unknown keys. Known lists the keys of the top level, separated by blanks.

   procedure Require (Host : Execution; Pointer : String);
   --  Rejects a config without this value: for values that have no default.

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

   procedure Parse_Span (Host : Execution; Text : String; Value : in out Duration; Valid : out Boolean);
   --  Reads a duration that does not stand in the config. If Text is none, Valid is False and Value stays as it is.

   function Count (Host : Execution; Pointer : String; Default : Natural := 0) return Natural;
   --  The number of elements of an array.

end Taskhost.Config;
