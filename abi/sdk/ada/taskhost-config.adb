with Ada.Unchecked_Conversion;
with Interfaces.C;         use Interfaces.C;
with Interfaces.C.Strings; use Interfaces.C.Strings;
with System;

package body Taskhost.Config is

   use Interfaces;
   package ABI renames Taskhost_ABI;

   function To_Address is new Ada.Unchecked_Conversion (chars_ptr, System.Address);

   type Reader_Access is access constant ABI.Config_Reader with Convention => C;

   --  Makes a String a C text on the stack, so that nothing must be freed after an exception.
   Id_Text : aliased char_array := To_C (ABI.Extension_Config);

   function Reader (Host : Execution) return Reader_Access is
      function To_Reader is new Ada.Unchecked_Conversion (System.Address, Reader_Access);
      Result : constant Reader_Access :=
        To_Reader (Host.Exec.Services.Extension
                     (Host.Exec, To_Chars_Ptr (Id_Text'Unchecked_Access), ABI.Config_Revision));
   begin
      if Result = null then
         raise Failure with "this host reads no configs (extension taskhost.config)";
      end if;
      return Result;
   end Reader;

   procedure Keys (Host : Execution; Known : String) is
      C_Text : aliased char_array := To_C (Known);
   begin
      Check (Reader (Host).Keys (Host.Exec, To_Chars_Ptr (C_Text'Unchecked_Access)));
   end Keys;

   procedure Require (Host : Execution; Pointer : String) is
      C_Pointer : aliased char_array := To_C (Pointer);
   begin
      Check (Reader (Host).Require (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access)));
   end Require;

   function Text (Host : Execution; Pointer, Default : String) return String is
      C_Pointer : aliased char_array := To_C (Pointer);
      Result    : aliased chars_ptr := Null_Ptr;
      Size      : aliased size_t := 0;
   begin
      Check (Reader (Host).Text
               (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access), Result'Access, Size'Access));
      if Result = Null_Ptr then
         return Default;
      end if;
      declare
         Found : String (1 .. Natural (Size)) with Import, Address => To_Address (Result);
      begin
         return Found;
      end;
   end Text;

   function Whole_Number
     (Host    : Execution;
      Pointer : String;
      Default : Long_Long_Integer;
      Least   : Long_Long_Integer := Long_Long_Integer'First;
      Most    : Long_Long_Integer := Long_Long_Integer'Last) return Long_Long_Integer
   is
      C_Pointer : aliased char_array := To_C (Pointer);
      Result    : aliased Integer_64 := Integer_64 (Default);
   begin
      Check (Reader (Host).Integer
               (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access), Integer_64 (Least), Integer_64 (Most),
                Result'Access));
      return Long_Long_Integer (Result);
   end Whole_Number;

   function Number (Host : Execution; Pointer : String; Default : Long_Float) return Long_Float is
      C_Pointer : aliased char_array := To_C (Pointer);
      Result    : aliased double := double (Default);
   begin
      Check (Reader (Host).Number (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access), Result'Access));
      return Long_Float (Result);
   end Number;

   function Flag (Host : Execution; Pointer : String; Default : Boolean) return Boolean is
      C_Pointer : aliased char_array := To_C (Pointer);
      Result    : aliased Integer_32 := Boolean'Pos (Default);
   begin
      Check (Reader (Host).Boolean (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access), Result'Access));
      return Result /= 0;
   end Flag;

   function Span (Host : Execution; Pointer : String; Default : Duration) return Duration is
      C_Pointer : aliased char_array := To_C (Pointer);
      Result    : aliased Unsigned_64 := To_Nanoseconds (Default);
   begin
      Check (Reader (Host).Duration_Span (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access), Result'Access));
      return Duration'Fixed_Value (Integer_64 (Result));
   end Span;

   procedure Parse_Span (Host : Execution; Text : String; Value : in out Duration; Valid : out Boolean) is
      C_Text : aliased char_array := To_C (Text);
      Result : aliased Unsigned_64 := 0;
   begin
      Valid := Reader (Host).Parse_Span
                 (To_Chars_Ptr (C_Text'Unchecked_Access), size_t (Text'Length), Result'Access) = ABI.OK;
      if Valid then
         Value := Duration'Fixed_Value (Integer_64 (Result));
      end if;
   end Parse_Span;

   function Count (Host : Execution; Pointer : String; Default : Natural := 0) return Natural is
      C_Pointer : aliased char_array := To_C (Pointer);
      Result    : aliased size_t := size_t (Default);
   begin
      Check (Reader (Host).Count (Host.Exec, To_Chars_Ptr (C_Pointer'Unchecked_Access), Result'Access));
      return Natural (Result);
   end Count;

end Taskhost.Config;
