with Ada.Exceptions;
with Ada.Unchecked_Deallocation;
with Interfaces.C;            use Interfaces.C;
with Interfaces.C.Strings;    use Interfaces.C.Strings;
with System;
with System.Storage_Elements; use System.Storage_Elements;
with Taskhost.Border;

package body Taskhost.Machine is

   use Interfaces;
   package ABI renames Taskhost_ABI;

   type State_Access is access State;
   for State_Access'Storage_Pool use Border.Memory;

   --  The host's memory begins with this. The State follows, which Ada may place after a header of its own.
   type Anchor is limited record
      Object : State_Access;
   end record;

   Step : constant Storage_Count := Storage_Count'Max (16, State'Alignment);
   Room : constant Storage_Count := State'Max_Size_In_Storage_Elements;

   pragma Compile_Time_Error (Anchor'Size > 16 * 8, "the anchor has up to 16 bytes");

   procedure Free is new Ada.Unchecked_Deallocation (State, State_Access);

   procedure Start_Guarded (Place : System.Address; Exec : ABI.Exec_Access; Code : out Integer_32) is
      Here : Anchor with Import, Address => Place;
      Host : constant Execution := (Exec => Exec);
   begin
      Border.Place_Next (Place + Step, Room);
      declare
         Object : State_Access := new State;
      begin
         Here.Object := Object;
         Start (Object.all, Host);
      exception
         when others =>
            Free (Object);
            raise;
      end;
      Code := ABI.OK;
   exception
      when E : others => Report (Host, E, Code);
   end Start_Guarded;

   procedure Go_Guarded (Place : System.Address; Exec : ABI.Exec_Access; Code : out Integer_32) is
      Here : Anchor with Import, Address => Place;
   begin
      Code := Go (Here.Object.all, (Exec => Exec));
   exception
      when E : others => Report ((Exec => Exec), E, Code);
   end Go_Guarded;

   --  The outcome is already decided, so that exceptions of Finish and Drop can only be logged (rule 3.7).
   procedure Complain (Host : Execution; Place : String; Event : Ada.Exceptions.Exception_Occurrence) is
      use Ada.Exceptions;
   begin
      Log (Host, Error, "exception " & Place & ": " & Exception_Name (Event) & ": " & Exception_Message (Event));
   end Complain;

   procedure Finish_Guarded (Place : System.Address; Exec : ABI.Exec_Access; Code : out Integer_32) is
      Here : Anchor with Import, Address => Place;
   begin
      Code := Status_Of (Finish (Here.Object.all, (Exec => Exec)));
   exception
      when E : others =>
         Code := ABI.OK;
         Complain ((Exec => Exec), "in its finish", E);
   end Finish_Guarded;

   procedure Drop_Guarded (Place : System.Address; Exec : ABI.Exec_Access) is
      Here : Anchor with Import, Address => Place;
      Host : constant Execution := (Exec => Exec);
   begin
      begin
         Drop (Here.Object.all, Host);
      exception
         when E : others => Complain (Host, "when it was dropped", E);
      end;
      Free (Here.Object);
   exception
      when E : others => Complain (Host, "when it was dropped", E);
   end Drop_Guarded;

   procedure Check_Guarded (Exec : ABI.Exec_Access; Code : out Integer_32) is
   begin
      Check (Execution'(Exec => Exec));
      Code := ABI.OK;
   exception
      when E : others => Report ((Exec => Exec), E, Code);
   end Check_Guarded;

   --  The functions that the host calls. Outside of the frame they must not raise exceptions or use the secondary
   --  stack.

   function Start_Border (Place : System.Address; Exec : ABI.Exec_Access) return Integer_32 with Convention => C;
   function Go_Border (Place : System.Address; Exec : ABI.Exec_Access) return Integer_32 with Convention => C;
   function Finish_Border (Place : System.Address; Exec : ABI.Exec_Access) return Integer_32 with Convention => C;
   procedure Drop_Border (Place : System.Address; Exec : ABI.Exec_Access) with Convention => C;
   function Check_Border (Exec : ABI.Exec_Access) return Integer_32 with Convention => C;

   function Start_Border (Place : System.Address; Exec : ABI.Exec_Access) return Integer_32 is
      Here : aliased Border.Frame;
      Code : Integer_32;
   begin
      Border.Enter (Here);
      Start_Guarded (Place, Exec, Code);
      Border.Leave (Here);
      return Code;
   end Start_Border;

   function Go_Border (Place : System.Address; Exec : ABI.Exec_Access) return Integer_32 is
      Here : aliased Border.Frame;
      Code : Integer_32;
   begin
      Border.Enter (Here);
      Go_Guarded (Place, Exec, Code);
      Border.Leave (Here);
      return Code;
   end Go_Border;

   function Finish_Border (Place : System.Address; Exec : ABI.Exec_Access) return Integer_32 is
      Here : aliased Border.Frame;
      Code : Integer_32;
   begin
      Border.Enter (Here);
      Finish_Guarded (Place, Exec, Code);
      Border.Leave (Here);
      return Code;
   end Finish_Border;

   procedure Drop_Border (Place : System.Address; Exec : ABI.Exec_Access) is
      Here : aliased Border.Frame;
   begin
      Border.Enter (Here);
      Drop_Guarded (Place, Exec);
      Border.Leave (Here);
   end Drop_Border;

   function Check_Border (Exec : ABI.Exec_Access) return Integer_32 is
      Here : aliased Border.Frame;
      Code : Integer_32;
   begin
      Border.Enter (Here);
      Check_Guarded (Exec, Code);
      Border.Leave (Here);
      return Code;
   end Check_Border;

   Factory : aliased ABI.Factory;

   function Optional (Text : String) return chars_ptr is
     (if Text = "" then Null_Ptr else New_String (Text));

begin
   Factory.Name := New_String (Task_Name);
   Factory.Version := Optional (Version);
   Factory.Description := Optional (Description);
   Factory.State_Size := size_t (Step + Room);
   Factory.State_Align := size_t (if Step > 16 then Step else 0);
   Factory.Start := Start_Border'Unrestricted_Access;
   if Blocks then
      Factory.Run := Go_Border'Unrestricted_Access;
   else
      Factory.Poll := Go_Border'Unrestricted_Access;
   end if;
   if Finishes then
      Factory.Finish := Finish_Border'Unrestricted_Access;
   end if;
   Factory.Drop := Drop_Border'Unrestricted_Access;
   Factory.Check := Check_Border'Unrestricted_Access;
   Border.Append (Factory'Unrestricted_Access);
end Taskhost.Machine;
