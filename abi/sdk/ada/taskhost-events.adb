with Ada.Unchecked_Conversion;
with Ada.Unchecked_Deallocation;
with Interfaces.C;            use Interfaces.C;
with System.Storage_Elements; use System.Storage_Elements;
with Taskhost.Border;

package body Taskhost.Events is

   use Interfaces;
   package ABI renames Taskhost_ABI;

   ---------------------
   -- The descriptors --
   ---------------------

   procedure Watch
     (Host               : Execution;
      Descriptor         : Integer;
      Readable, Writable : Boolean := False;
      Tag                : Interfaces.Unsigned_64 := 0)
   is
      Wanted  : constant Unsigned_32 :=
        (if Readable then ABI.Readable else 0) or (if Writable then ABI.Writable else 0);
      Refusal : constant Integer_32 := Host.Exec.Services.Watch (Host.Exec, ABI.Fd (Descriptor), Wanted, Tag);
   begin
      if Refusal /= ABI.OK then
         raise Failure with "can't wait for descriptor" & Descriptor'Image & ": "
           & (case Refusal is
                 when ABI.Refused_Closed      => "it is not open",
                 when ABI.Refused_Always      => "it is always ready, as files are",
                 when ABI.Refused_Descriptors => "the process has no descriptor left",
                 when others                  => "the host refuses it, and has logged why");
      end if;
   end Watch;

   procedure Forget (Host : Execution; Descriptor : Integer) is
      Ignored : constant Integer_32 := Host.Exec.Services.Watch (Host.Exec, ABI.Fd (Descriptor), 0, 0);
      pragma Unreferenced (Ignored);
   begin
      null;
   end Forget;

   --------------------
   -- Offloaded work --
   --------------------

   function To_Address is new Ada.Unchecked_Conversion (Work_Access, System.Address);
   function To_Work is new Ada.Unchecked_Conversion (System.Address, Work_Access);

   procedure Deallocate is new Ada.Unchecked_Deallocation (Work'Class, Work_Access);

   procedure Free (Item : in out Work_Access) is
   begin
      Deallocate (Item);
   end Free;

   procedure Check (Item : Work'Class) is
   begin
      Ada.Exceptions.Reraise_Occurrence (Item.Raised);
   end Check;

   procedure Run_Guarded (Item : Work_Access) is
   begin
      Run (Item.all);
   exception
      when E : others => Ada.Exceptions.Save_Occurrence (Item.Raised, E);
   end Run_Guarded;

   procedure Discard_Guarded (Item : Work_Access) is
      Mine : Work_Access := Item;
   begin
      Free (Mine);
   exception
      when others => null;  --  nobody is left who could be told
   end Discard_Guarded;

   --  The functions that the host calls, on a thread of its own. As in Taskhost.Machine.

   procedure Run_Border (Argument : System.Address) with Convention => C;
   procedure Discard_Border (Argument : System.Address) with Convention => C;

   procedure Run_Border (Argument : System.Address) is
      Here : aliased Border.Frame;
   begin
      Border.Enter (Here);
      Run_Guarded (To_Work (Argument));
      Border.Leave (Here);
   end Run_Border;

   procedure Discard_Border (Argument : System.Address) is
      Here : aliased Border.Frame;
   begin
      Border.Enter (Here);
      Discard_Guarded (To_Work (Argument));
      Border.Leave (Here);
   end Discard_Border;

   procedure Offload (Host : Execution; Item : in out Work_Access; Tag : Interfaces.Unsigned_64 := 0) is
      --  The host's tag is the work itself, which keeps the task's.
      Handed : aliased ABI.Work;
   begin
      Item.Tag := Tag;
      Handed.Argument := To_Address (Item);
      Handed.Tag := Unsigned_64 (To_Integer (Handed.Argument));
      Handed.Run := Run_Border'Access;
      Handed.Discard := Discard_Border'Access;
      if Host.Exec.Services.Offload (Host.Exec, Handed'Access) /= ABI.OK then
         Free (Item);
         raise Failure with "no thread for work that blocks: the host's log says why";
      end if;
      Item := null;
   end Offload;

   function Take_Ready (Host : Execution; Most : Positive := 16) return Event_List is
      List  : ABI.Ready_List (1 .. size_t (Most));
      Count : constant size_t := Host.Exec.Services.Take_Ready (Host.Exec, List (1)'Access, List'Length);

      function To_Event (Told : ABI.Ready_Entry) return Event is
         Item : constant Work_Access :=
           (if Told.What = ABI.Done then To_Work (To_Address (Integer_Address (Told.Tag))) else null);
      begin
         return
           (Tag      => (if Item = null then Told.Tag else Item.Tag),
            Readable => (Told.What and ABI.Readable) /= 0,
            Writable => (Told.What and ABI.Writable) /= 0,
            Broken   => (Told.What and ABI.Broken) /= 0,
            Work     => Item);
      end To_Event;
   begin
      return Events : Event_List (1 .. Natural (Count)) do
         for I in Events'Range loop
            Events (I) := To_Event (List (size_t (I)));
         end loop;
      end return;
   end Take_Ready;

end Taskhost.Events;
