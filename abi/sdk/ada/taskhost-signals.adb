with Ada.Unchecked_Conversion;
with Interfaces.C;         use Interfaces.C;
with Interfaces.C.Strings; use Interfaces.C.Strings;
with System;

package body Taskhost.Signals is

   use Interfaces;
   package ABI renames Taskhost_ABI;

   type Table_Access is access constant ABI.Signals with Convention => C;

   Id_Text : aliased char_array := To_C (ABI.Extension_Signals);

   Bits : constant array (Signal) of Unsigned_32 :=
     (Interrupt         => ABI.Signal_Interrupt,
      Terminate_Process => ABI.Signal_Terminate,
      Hangup            => ABI.Signal_Hangup,
      User_1            => ABI.Signal_User1,
      User_2            => ABI.Signal_User2);

   function Table (Host : Execution) return Table_Access is
      function To_Table is new Ada.Unchecked_Conversion (System.Address, Table_Access);
      Result : constant Table_Access :=
        To_Table (Host.Exec.Services.Extension
                    (Host.Exec, To_Chars_Ptr (Id_Text'Unchecked_Access), ABI.Signals_Revision));
   begin
      if Result = null then
         raise Failure with "this host keeps its signals to itself (extension taskhost.signals)";
      end if;
      return Result;
   end Table;

   procedure Subscribe (Host : Execution; Wanted : Signal_Set) is
      Mask : Unsigned_32 := 0;
   begin
      for S in Signal loop
         Mask := Mask or (if Wanted (S) then Bits (S) else 0);
      end loop;
      if Table (Host).Subscribe (Host.Exec, Mask) /= ABI.OK then
         raise Failure with "the host does not know one of these signals";
      end if;
   end Subscribe;

   function Take (Host : Execution) return Signal_Set is
      Mask : constant Unsigned_32 := Table (Host).Take (Host.Exec);
   begin
      return Result : Signal_Set do
         for S in Signal loop
            Result (S) := (Mask and Bits (S)) /= 0;
         end loop;
      end return;
   end Take;

end Taskhost.Signals;
