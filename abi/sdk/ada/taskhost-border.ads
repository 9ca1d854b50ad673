--  Taskhost.Border: where the host's threads enter Ada. Used by the generic packages; a task does not need it.
--
--  In programs without Ada tasks, GNAT's runtime keeps per-thread data (the current exception, the secondary stack on
--  which functions return strings) in one global variable, and its lock does nothing. The host calls on several threads
--  at once. So each call into Ada has a Frame with that data, on its own stack, and this package makes the runtime use
--  it, by System.Soft_Links, the hooks that GNAT's own tasking uses. It also provides a real lock. If the plugin itself
--  has tasks or protected objects (libgnarl), the hooks are in use; then they are left as they are, and that runtime
--  handles foreign threads.
--
--  The entry taskhost_plugin_v1 is here too. Its first call elaborates the plugin's packages, on whichever thread;
--  loading the library runs no Ada code.

pragma Warnings (Off, "*internal GNAT unit");
pragma Warnings (Off, "*non-portable and version-dependent");
private with System.Soft_Links;
with System.Storage_Elements;
with System.Storage_Pools;
with Taskhost_ABI;

package Taskhost.Border is

   type Frame is limited private;

   procedure Enter (Here : aliased in out Frame);
   procedure Leave (Here : in out Frame);
   --  Call these around each call from the host, and Leave only after Enter: code outside of them shares the data of
   --  its exceptions with all such threads.

   procedure Append (Factory : Taskhost_ABI.Factory_Access);
   --  Adds a factory to this plugin, while the packages are being elaborated.

   type Host_Memory is new System.Storage_Pools.Root_Storage_Pool with null record;
   --  Memory that the host provides for an execution, for one allocation after Place_Next.

   overriding procedure Allocate
     (Pool      : in out Host_Memory;
      Address   : out System.Address;
      Size      : System.Storage_Elements.Storage_Count;
      Alignment : System.Storage_Elements.Storage_Count);

   overriding procedure Deallocate
     (Pool      : in out Host_Memory;
      Address   : System.Address;
      Size      : System.Storage_Elements.Storage_Count;
      Alignment : System.Storage_Elements.Storage_Count) is null;

   overriding function Storage_Size (Pool : Host_Memory) return System.Storage_Elements.Storage_Count is
     (System.Storage_Elements.Storage_Count'Last);

   procedure Place_Next (Place : System.Address; Size : System.Storage_Elements.Storage_Count);

   Memory : Host_Memory;

private

   type Frame is limited record
      Data  : aliased System.Soft_Links.TSD;
      Outer : System.Address := System.Null_Address;
   end record;

   Secondary_Stack_Size : constant := 8 * 1024;
   --  Its first chunk, initialized when a call first uses it; it grows.

end Taskhost.Border;
