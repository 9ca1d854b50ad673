--  Taskhost_ABI: taskhost/plugin.h, ext/config.h and ext/signals.h in Ada, field by field. The headers document each
--  function; names are theirs without the prefix. A task only needs package Taskhost; use this one for what that leaves
--  out, and for services that a later version adds.
--
--  Texts passed to the host are an address and a size, and need no NUL. All conventions are C: no exception may leave a
--  function of the factory, which the generic packages below Taskhost ensure.

with Interfaces;           use Interfaces;
with Interfaces.C;         use Interfaces.C;
with Interfaces.C.Strings; use Interfaces.C.Strings;
with System;

package Taskhost_ABI is

   ABI_Major  : constant := 1;
   ABI_Minor  : constant := 0;
   Entry_Name : constant String := "taskhost_plugin_v1";

   --  How a call ended
   OK        : constant Integer_32 := 0;
   Pending   : constant Integer_32 := 1;
   Error     : constant Integer_32 := 2;
   Panic     : constant Integer_32 := 3;
   Again     : constant Integer_32 := 4;

   --  Why a service does not do what it was asked for
   Refused_Call        : constant Integer_32 := 16;
   Refused_Argument    : constant Integer_32 := 17;
   Refused_Closed      : constant Integer_32 := 18;
   Refused_Always      : constant Integer_32 := 19;
   Refused_Loop        : constant Integer_32 := 20;
   Refused_Descriptors : constant Integer_32 := 21;
   Refused_Memory      : constant Integer_32 := 22;
   Refused_Threads     : constant Integer_32 := 23;
   Refused_Watchers    : constant Integer_32 := 24;

   Log_Trace   : constant Integer_32 := 0;
   Log_Debug   : constant Integer_32 := 1;
   Log_Info    : constant Integer_32 := 2;
   Log_Warning : constant Integer_32 := 3;
   Log_Error   : constant Integer_32 := 4;

   --  Interests of watch, and what take_ready tells
   Readable : constant Unsigned_32 := 1;
   Writable : constant Unsigned_32 := 2;
   Broken   : constant Unsigned_32 := 4;
   Done     : constant Unsigned_32 := 8;

   --  Bits that wait returns
   Wait_Stop : constant Unsigned_32 := 1;
   Wait_Wake : constant Unsigned_32 := 2;
   Wait_Time : constant Unsigned_32 := 4;

   Microsecond : constant Unsigned_64 := 1_000;
   Millisecond : constant Unsigned_64 := 1_000_000;
   Second      : constant Unsigned_64 := 1_000_000_000;
   Never       : constant Unsigned_64 := Unsigned_64'Last;

   subtype Waker is Unsigned_64;
   subtype Fd is Integer_64;

   --  The layouts are explicit, so the compiler rejects fields that do not fit. Word: the size of a pointer in bytes.
   Word : constant := Standard'Address_Size / 8;

   type Ready_Entry is record
      Tag      : Unsigned_64;
      What     : Unsigned_32;
      Reserved : Unsigned_32;
   end record
     with Convention => C;
   for Ready_Entry use record
      Tag      at 0 range 0 .. 63;
      What     at 8 range 0 .. 31;
      Reserved at 12 range 0 .. 31;
   end record;
   for Ready_Entry'Size use 128;
   type Ready_List is array (size_t range <>) of aliased Ready_Entry with Convention => C;

   type Work_Call is access procedure (Argument : System.Address) with Convention => C;

   type Work is record
      Struct_Size : Unsigned_32 := Work'Size / 8;
      Reserved    : Unsigned_32 := 0;
      Tag         : Unsigned_64 := 0;
      Argument    : System.Address := System.Null_Address;
      Run         : Work_Call;
      Discard     : Work_Call;
   end record
     with Convention => C;
   for Work use record
      Struct_Size at 0 range 0 .. 31;
      Reserved    at 4 range 0 .. 31;
      Tag         at 8 range 0 .. 63;
      Argument    at 16 range 0 .. Standard'Address_Size - 1;
      Run         at 16 + 1 * Word range 0 .. Standard'Address_Size - 1;
      Discard     at 16 + 2 * Word range 0 .. Standard'Address_Size - 1;
   end record;
   for Work'Size use 128 + 3 * Standard'Address_Size;

   type Services;
   type Services_Access is access constant Services with Convention => C;

   --  One execution as its task sees it; private fields of the host follow.
   type Exec is limited record
      Services : Services_Access;
   end record
     with Convention => C;
   for Exec use record
      Services at 0 range 0 .. Standard'Address_Size - 1;
   end record;
   for Exec'Size use 0 + 1 * Standard'Address_Size;
   type Exec_Access is access constant Exec with Convention => C;

   type Log_Call is access procedure
     (Exec : Exec_Access; Level : Integer_32; Text : System.Address; Size : size_t)
     with Convention => C;
   type Fail_Call is access function (Exec : Exec_Access; Text : System.Address; Size : size_t) return Integer_32
     with Convention => C;
   type Config_Call is access function (Exec : Exec_Access; Size : access size_t) return chars_ptr
     with Convention => C;
   type Task_Name_Call is access function (Exec : Exec_Access) return chars_ptr with Convention => C;
   type Execution_Number_Call is access function (Exec : Exec_Access) return Unsigned_64 with Convention => C;
   type Stop_Requested_Call is access function (Exec : Exec_Access) return Integer_32 with Convention => C;
   type Now_Call is access function return Unsigned_64 with Convention => C;
   type Waker_Call is access function (Exec : Exec_Access) return Waker with Convention => C;
   type Wake_Call is access procedure (W : Waker) with Convention => C;
   type Wake_At_Call is access procedure (Exec : Exec_Access; Time : Unsigned_64) with Convention => C;
   type Wake_After_Call is access procedure (Exec : Exec_Access; Delay_Time : Unsigned_64) with Convention => C;
   type Watch_Call is access function
     (Exec : Exec_Access; Descriptor : Fd; Interests : Unsigned_32; Tag : Unsigned_64) return Integer_32
     with Convention => C;
   type Take_Ready_Call is access function
     (Exec : Exec_Access; List : access Ready_Entry; Capacity : size_t) return size_t
     with Convention => C;
   type Offload_Call is access function (Exec : Exec_Access; W : access constant Work) return Integer_32
     with Convention => C;
   type Wait_Call is access function (Exec : Exec_Access; Time : Unsigned_64) return Unsigned_32
     with Convention => C;
   type Wait_Fd_Call is access function (Exec : Exec_Access) return Fd with Convention => C;
   type Sign_Call is access procedure (Exec : Exec_Access) with Convention => C;
   type Status_Call is access procedure (Exec : Exec_Access; Text : System.Address; Size : size_t)
     with Convention => C;
   type Extension_Call is access function
     (Exec : Exec_Access; Id : chars_ptr; Revision : Unsigned_32) return System.Address
     with Convention => C;

   type Services is limited record
      Struct_Size      : Unsigned_32;
      ABI_Minor        : Unsigned_32;
      Log              : Log_Call;
      Fail             : Fail_Call;
      Config           : Config_Call;
      Task_Name        : Task_Name_Call;
      Execution_Number : Execution_Number_Call;
      Stop_Requested   : Stop_Requested_Call;
      Now              : Now_Call;
      Waker            : Waker_Call;
      Wake             : Wake_Call;
      Wake_At          : Wake_At_Call;
      Wake_After       : Wake_After_Call;
      Watch            : Watch_Call;
      Take_Ready       : Take_Ready_Call;
      Offload          : Offload_Call;
      Wait             : Wait_Call;
      Wait_Fd          : Wait_Fd_Call;
      Ready            : Sign_Call;
      Heartbeat        : Sign_Call;
      Status           : Status_Call;
      Extension        : Extension_Call;
   end record
     with Convention => C;
   for Services use record
      Struct_Size      at 0 range 0 .. 31;
      ABI_Minor        at 4 range 0 .. 31;
      Log              at 8 range 0 .. Standard'Address_Size - 1;
      Fail             at 8 + 1 * Word range 0 .. Standard'Address_Size - 1;
      Config           at 8 + 2 * Word range 0 .. Standard'Address_Size - 1;
      Task_Name        at 8 + 3 * Word range 0 .. Standard'Address_Size - 1;
      Execution_Number at 8 + 4 * Word range 0 .. Standard'Address_Size - 1;
      Stop_Requested   at 8 + 5 * Word range 0 .. Standard'Address_Size - 1;
      Now              at 8 + 6 * Word range 0 .. Standard'Address_Size - 1;
      Waker            at 8 + 7 * Word range 0 .. Standard'Address_Size - 1;
      Wake             at 8 + 8 * Word range 0 .. Standard'Address_Size - 1;
      Wake_At          at 8 + 9 * Word range 0 .. Standard'Address_Size - 1;
      Wake_After       at 8 + 10 * Word range 0 .. Standard'Address_Size - 1;
      Watch            at 8 + 11 * Word range 0 .. Standard'Address_Size - 1;
      Take_Ready       at 8 + 12 * Word range 0 .. Standard'Address_Size - 1;
      Offload          at 8 + 13 * Word range 0 .. Standard'Address_Size - 1;
      Wait             at 8 + 14 * Word range 0 .. Standard'Address_Size - 1;
      Wait_Fd          at 8 + 15 * Word range 0 .. Standard'Address_Size - 1;
      Ready            at 8 + 16 * Word range 0 .. Standard'Address_Size - 1;
      Heartbeat        at 8 + 17 * Word range 0 .. Standard'Address_Size - 1;
      Status           at 8 + 18 * Word range 0 .. Standard'Address_Size - 1;
      Extension        at 8 + 19 * Word range 0 .. Standard'Address_Size - 1;
   end record;
   for Services'Size use 64 + 20 * Standard'Address_Size;

   type Start_Call is access function (State : System.Address; Exec : Exec_Access) return Integer_32
     with Convention => C;
   subtype Poll_Call is Start_Call;
   subtype Run_Call is Start_Call;
   subtype Finish_Call is Start_Call;
   type Drop_Call is access procedure (State : System.Address; Exec : Exec_Access) with Convention => C;
   type Check_Call is access function (Exec : Exec_Access) return Integer_32 with Convention => C;

   type Factory;
   type Factory_Access is access all Factory with Convention => C;

   type Factory is limited record
      Struct_Size    : Unsigned_32 := Factory'Size / 8;
      Required_Minor : Unsigned_32 := 0;
      Name           : chars_ptr := Null_Ptr;
      Version        : chars_ptr := Null_Ptr;
      Description    : chars_ptr := Null_Ptr;
      State_Size     : size_t := 0;
      State_Align    : size_t := 0;
      Flags          : Unsigned_32 := 0;
      Reserved       : Unsigned_32 := 0;
      Start          : Start_Call;
      Poll           : Poll_Call;
      Run            : Run_Call;
      Finish         : Finish_Call;
      Drop           : Drop_Call;
      Check          : Check_Call;
      Next           : Factory_Access;
   end record
     with Convention => C;
   for Factory use record
      Struct_Size    at 0 range 0 .. 31;
      Required_Minor at 4 range 0 .. 31;
      Name           at 8 range 0 .. Standard'Address_Size - 1;
      Version        at 8 + 1 * Word range 0 .. Standard'Address_Size - 1;
      Description    at 8 + 2 * Word range 0 .. Standard'Address_Size - 1;
      State_Size     at 8 + 3 * Word range 0 .. Standard'Address_Size - 1;
      State_Align    at 8 + 4 * Word range 0 .. Standard'Address_Size - 1;
      Flags          at 8 + 5 * Word range 0 .. 31;
      Reserved       at 12 + 5 * Word range 0 .. 31;
      Start          at 16 + 5 * Word range 0 .. Standard'Address_Size - 1;
      Poll           at 16 + 6 * Word range 0 .. Standard'Address_Size - 1;
      Run            at 16 + 7 * Word range 0 .. Standard'Address_Size - 1;
      Finish         at 16 + 8 * Word range 0 .. Standard'Address_Size - 1;
      Drop           at 16 + 9 * Word range 0 .. Standard'Address_Size - 1;
      Check          at 16 + 10 * Word range 0 .. Standard'Address_Size - 1;
      Next           at 16 + 11 * Word range 0 .. Standard'Address_Size - 1;
   end record;
   for Factory'Size use 128 + 12 * Standard'Address_Size;

   --  The extension taskhost.config

   Extension_Config : constant String := "taskhost.config";
   Config_Revision  : constant Unsigned_32 := 1;

   type Config_Keys_Call is access function (Exec : Exec_Access; Keys : chars_ptr) return Integer_32
     with Convention => C;
   type Config_Require_Call is access function (Exec : Exec_Access; Pointer : chars_ptr) return Integer_32
     with Convention => C;
   type Config_Text_Call is access function
     (Exec : Exec_Access; Pointer : chars_ptr; Value : access chars_ptr; Size : access size_t) return Integer_32
     with Convention => C;
   type Config_Integer_Call is access function
     (Exec : Exec_Access; Pointer : chars_ptr; Least, Most : Integer_64; Value : access Integer_64) return Integer_32
     with Convention => C;
   type Config_Number_Call is access function
     (Exec : Exec_Access; Pointer : chars_ptr; Value : access double) return Integer_32
     with Convention => C;
   type Config_Boolean_Call is access function
     (Exec : Exec_Access; Pointer : chars_ptr; Value : access Integer_32) return Integer_32
     with Convention => C;
   type Config_Duration_Call is access function
     (Exec : Exec_Access; Pointer : chars_ptr; Value : access Unsigned_64) return Integer_32
     with Convention => C;
   type Config_Count_Call is access function
     (Exec : Exec_Access; Pointer : chars_ptr; Value : access size_t) return Integer_32
     with Convention => C;

   type Parse_Duration_Call is access function
     (Text : chars_ptr; Size : size_t; Value : access Unsigned_64) return Integer_32
     with Convention => C;

   type Config_Reader is limited record
      Struct_Size   : Unsigned_32;
      Revision      : Unsigned_32;
      Keys          : Config_Keys_Call;
      Require       : Config_Require_Call;
      Text          : Config_Text_Call;
      Integer       : Config_Integer_Call;
      Number        : Config_Number_Call;
      Boolean       : Config_Boolean_Call;
      Duration_Span : Config_Duration_Call;
      Count         : Config_Count_Call;
      Parse_Span    : Parse_Duration_Call;
   end record
     with Convention => C;
   for Config_Reader use record
      Struct_Size   at 0 range 0 .. 31;
      Revision      at 4 range 0 .. 31;
      Keys          at 8 range 0 .. Standard'Address_Size - 1;
      Require       at 8 + 1 * Word range 0 .. Standard'Address_Size - 1;
      Text          at 8 + 2 * Word range 0 .. Standard'Address_Size - 1;
      Integer       at 8 + 3 * Word range 0 .. Standard'Address_Size - 1;
      Number        at 8 + 4 * Word range 0 .. Standard'Address_Size - 1;
      Boolean       at 8 + 5 * Word range 0 .. Standard'Address_Size - 1;
      Duration_Span at 8 + 6 * Word range 0 .. Standard'Address_Size - 1;
      Count         at 8 + 7 * Word range 0 .. Standard'Address_Size - 1;
      Parse_Span    at 8 + 8 * Word range 0 .. Standard'Address_Size - 1;
   end record;
   for Config_Reader'Size use 64 + 9 * Standard'Address_Size;

   --  The extension taskhost.signals

   Extension_Signals : constant String := "taskhost.signals";
   Signals_Revision  : constant Unsigned_32 := 1;

   Signal_Interrupt : constant Unsigned_32 := 1;
   Signal_Terminate : constant Unsigned_32 := 2;
   Signal_Hangup    : constant Unsigned_32 := 4;
   Signal_User1     : constant Unsigned_32 := 8;
   Signal_User2     : constant Unsigned_32 := 16;

   type Signals_Subscribe_Call is access function (Exec : Exec_Access; Signals : Unsigned_32) return Integer_32
     with Convention => C;
   type Signals_Take_Call is access function (Exec : Exec_Access) return Unsigned_32 with Convention => C;

   type Signals is limited record
      Struct_Size : Unsigned_32;
      Revision    : Unsigned_32;
      Subscribe   : Signals_Subscribe_Call;
      Take        : Signals_Take_Call;
   end record
     with Convention => C;
   for Signals use record
      Struct_Size at 0 range 0 .. 31;
      Revision    at 4 range 0 .. 31;
      Subscribe   at 8 range 0 .. Standard'Address_Size - 1;
      Take        at 8 + 1 * Word range 0 .. Standard'Address_Size - 1;
   end record;
   for Signals'Size use 64 + 2 * Standard'Address_Size;

   pragma Compile_Time_Error (size_t'Size /= Standard'Address_Size, "size_t is not one word");

end Taskhost_ABI;
