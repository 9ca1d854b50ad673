with Ada.Exceptions;
with Interfaces.C;         use Interfaces.C;
with Interfaces.C.Strings; use Interfaces.C.Strings;
pragma Warnings (Off, "*internal GNAT unit");
pragma Warnings (Off, "*non-portable and version-dependent");
with System.Secondary_Stack;

package body Taskhost.Border is

   use Interfaces;
   use type System.Address;
   use type System.Storage_Elements.Integer_Address;
   use type System.Storage_Elements.Storage_Count;
   package ABI renames Taskhost_ABI;
   package Links renames System.Soft_Links;
   package Stacks renames System.Secondary_Stack;
   use type ABI.Factory_Access;
   use type Links.Get_EOA_Call;
   use type Stacks.SS_Stack_Ptr;

   type Data_Access is access all Links.TSD;

   Current : Data_Access := null;
   pragma Thread_Local_Storage (Current);

   Next_Place : System.Storage_Elements.Integer_Address := 0;
   pragma Thread_Local_Storage (Next_Place);

   Next_Size : System.Storage_Elements.Storage_Count := 0;
   pragma Thread_Local_Storage (Next_Size);

   Lock_Depth : Natural := 0;
   pragma Thread_Local_Storage (Lock_Depth);

   ----------------------------------
   -- What the runtime's hooks get --
   ----------------------------------

   function Current_Exception return Links.EOA is
     (if Current = null then Links.Get_Current_Excep_NT else Current.Current_Excep'Access);

   function Jump_Buffer return System.Address is
     (if Current = null then Links.Get_Jmpbuf_Address_NT else Current.Jmpbuf_Address);

   procedure Set_Jump_Buffer (Address : System.Address) is
   begin
      if Current = null then
         Links.Set_Jmpbuf_Address_NT (Address);
      else
         Current.Jmpbuf_Address := Address;
      end if;
   end Set_Jump_Buffer;

   function Secondary_Stack return Stacks.SS_Stack_Ptr is
   begin
      if Current = null then
         return Links.Get_Sec_Stack_NT;
      end if;
      if Current.Sec_Stack_Ptr = null then
         Stacks.SS_Init (Current.Sec_Stack_Ptr, Secondary_Stack_Size);
      end if;
      return Current.Sec_Stack_Ptr;
   end Secondary_Stack;

   procedure Set_Secondary_Stack (Stack : Stacks.SS_Stack_Ptr) is
   begin
      if Current = null then
         Links.Set_Sec_Stack_NT (Stack);
      else
         Current.Sec_Stack_Ptr := Stack;
      end if;
   end Set_Secondary_Stack;

   --  A mutex of the C library, in more memory than any platform needs.
   type Mutex is array (1 .. 16) of Unsigned_64 with Convention => C;
   for Mutex'Alignment use 16;

   The_Lock : Mutex := (others => 0);

   function Mutex_Init (Target : in out Mutex; Attributes : System.Address) return int
     with Import, Convention => C, External_Name => "pthread_mutex_init";
   function Mutex_Lock (Target : in out Mutex) return int
     with Import, Convention => C, External_Name => "pthread_mutex_lock";
   function Mutex_Unlock (Target : in out Mutex) return int
     with Import, Convention => C, External_Name => "pthread_mutex_unlock";

   Ignored : int;

   procedure Lock is
      Code : int;
      pragma Unreferenced (Code);
   begin
      if Lock_Depth = 0 then
         Code := Mutex_Lock (The_Lock);
      end if;
      Lock_Depth := Lock_Depth + 1;
   end Lock;

   procedure Unlock is
      Code : int;
      pragma Unreferenced (Code);
   begin
      Lock_Depth := Lock_Depth - 1;
      if Lock_Depth = 0 then
         Code := Mutex_Unlock (The_Lock);
      end if;
   end Unlock;

   ------------
   -- Frames --
   ------------

   procedure Enter (Here : aliased in out Frame) is
   begin
      Here.Data.Jmpbuf_Address := System.Null_Address;
      Here.Data.Sec_Stack_Ptr := null;
      Here.Outer := (if Current = null then System.Null_Address else Current.all'Address);
      Current := Here.Data'Unchecked_Access;
   end Enter;

   procedure Leave (Here : in out Frame) is
      Outer : Links.TSD with Import, Address => Here.Outer;
   begin
      if Here.Data.Sec_Stack_Ptr /= null then
         Stacks.SS_Free (Here.Data.Sec_Stack_Ptr);
      end if;
      Current := (if Here.Outer = System.Null_Address then null else Outer'Unrestricted_Access);
   end Leave;

   -----------------
   -- Host_Memory --
   -----------------

   procedure Place_Next (Place : System.Address; Size : System.Storage_Elements.Storage_Count) is
   begin
      Next_Place := System.Storage_Elements.To_Integer (Place);
      Next_Size := Size;
   end Place_Next;

   overriding procedure Allocate
     (Pool      : in out Host_Memory;
      Address   : out System.Address;
      Size      : System.Storage_Elements.Storage_Count;
      Alignment : System.Storage_Elements.Storage_Count)
   is
      pragma Unreferenced (Pool, Alignment);
   begin
      if Next_Place = 0 or else Size > Next_Size then
         raise Storage_Error with "an execution needs" & Size'Image & " bytes, the factory asked for" & Next_Size'Image;
      end if;
      Address := System.Storage_Elements.To_Address (Next_Place);
      Next_Place := 0;
   end Allocate;

   ---------------
   -- The entry --
   ---------------

   First, Last : ABI.Factory_Access := null;

   procedure Append (Factory : ABI.Factory_Access) is
   begin
      if First = null then
         First := Factory;
      else
         Last.Next := Factory;
      end if;
      Last := Factory;
   end Append;

   --  Used if the packages' elaboration raised an exception: the start fails with its text.
   Reason      : String (1 .. 512) := (others => ' ');
   Reason_Size : Natural := 0;
   Broken      : aliased ABI.Factory;

   function Refuse (State : System.Address; Exec : ABI.Exec_Access) return Integer_32 with Convention => C;

   function Refuse (State : System.Address; Exec : ABI.Exec_Access) return Integer_32 is
      pragma Unreferenced (State);
   begin
      return Exec.Services.Fail (Exec, Reason'Address, size_t (Reason_Size));
   end Refuse;

   --  Generated by gnatbind -Ltaskhost: elaborates all packages.
   procedure Elaborate_Plugin with Import, Convention => C, External_Name => "taskhostinit";

   procedure Initialize_Runtime (Install_Handlers : int)
     with Import, Convention => C, External_Name => "__gnat_runtime_initialize";

   procedure Elaborate_Once with Convention => C;

   procedure Elaborate_Once is
      use Ada.Exceptions;
   begin
      --  Called before Elaborate_Plugin, which would also install handlers for SIGSEGV, SIGFPE and others, for the
      --  whole process (rule 5.1). The runtime initializes itself only once.
      Initialize_Runtime (Install_Handlers => 0);
      Elaborate_Plugin;
      if First = null then
         raise Program_Error with "the plugin has no task";
      end if;
   exception
      when E : others =>
         declare
            Text : constant String := "elaboration: " & Exception_Name (E) & ": " & Exception_Message (E);
         begin
            Reason_Size := Natural'Min (Text'Length, Reason'Length);
            Reason (1 .. Reason_Size) := Text (Text'First .. Text'First + Reason_Size - 1);
         end;
         --  This package itself may not be elaborated yet, so everything is set here.
         Broken.Struct_Size := ABI.Factory'Size / 8;
         Broken.Name := New_String ("not_elaborated");
         Broken.Start := Refuse'Access;
         Broken.Poll := Refuse'Access;
         First := Broken'Access;
   end Elaborate_Once;

   type Once_Control is new int with Convention => C;
   type Once_Call is access procedure with Convention => C;

   function Once (Control : access Once_Control; Call : Once_Call) return int
     with Import, Convention => C, External_Name => "pthread_once";

   Elaborated : aliased Once_Control := 0;

   function Plugin_Entry return ABI.Factory_Access
     with Export, Convention => C, External_Name => "taskhost_plugin_v1";

   --  Called before this package is elaborated, so it accesses only static data.
   function Plugin_Entry return ABI.Factory_Access is
      Code : int;
      pragma Unreferenced (Code);
   begin
      Code := Once (Elaborated'Access, Elaborate_Once'Access);
      return First;
   end Plugin_Entry;

begin
   Ignored := Mutex_Init (The_Lock, System.Null_Address);
   if Links.Get_Current_Excep = Links.Get_Current_Excep_NT'Access then
      Links.Get_Current_Excep := Current_Exception'Access;
      Links.Get_Jmpbuf_Address := Jump_Buffer'Access;
      Links.Set_Jmpbuf_Address := Set_Jump_Buffer'Access;
      Links.Get_Sec_Stack := Secondary_Stack'Access;
      Links.Set_Sec_Stack := Set_Secondary_Stack'Access;
      Links.Lock_Task := Lock'Access;
      Links.Unlock_Task := Unlock'Access;
   end if;
end Taskhost.Border;
