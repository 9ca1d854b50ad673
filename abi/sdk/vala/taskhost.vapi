/*
 * taskhost.vapi: the interface between a task plugin and its host, for Vala: taskhost/plugin.h, ext/config.h and
 * ext/signals.h. These headers document each function, and the C compiler reads them, so layouts cannot differ.
 * Methods that have a body here are compiled into the plugin; they make the same functions easier to call.
 *
 *   [Compact]
 *   class Beat {
 *     public Beat (Execution execution) throws Error {}           // the start
 *     public Status poll (Execution execution) throws Error {     // never blocks
 *       if (execution.stop_requested) return Status.OK;
 *       execution.info ("beat");
 *       execution.wake_after (SECOND);
 *       return Status.PENDING;
 *     }
 *   }
 *
 * and the glue code, which turns errors into statuses, as in the README. Durations and times are nanoseconds in uint64.
 * Threads: [execution] only from this execution's own start, poll, run or finish; [any-thread] on any thread until its
 * drop returns; [anywhere] on any thread at any time. Rule numbers are those of CONTRACT.md.
 */
[CCode (cheader_filename = "taskhost/plugin.h", lower_case_cprefix = "taskhost_")]
namespace Taskhost {
	[CCode (cname = "TASKHOST_ABI_MAJOR")]
	public const int ABI_MAJOR;
	[CCode (cname = "TASKHOST_ABI_MINOR")]
	public const int ABI_MINOR;
	[CCode (cname = "TASKHOST_ENTRY_NAME")]
	public const string ENTRY_NAME;
	[CCode (cname = "TASKHOST_MICROSECOND")]
	public const uint64 MICROSECOND;
	[CCode (cname = "TASKHOST_MILLISECOND")]
	public const uint64 MILLISECOND;
	[CCode (cname = "TASKHOST_SECOND")]
	public const uint64 SECOND;
	[CCode (cname = "TASKHOST_NEVER")]
	public const uint64 NEVER;

	/* PANIC is for languages that have exceptions. AGAIN: not done; to be polled again after all others that are due. */
	[CCode (cname = "int32_t", cprefix = "TASKHOST_", has_type_id = false)]
	public enum Status { OK, PENDING, ERROR, PANIC, AGAIN }

	/* Why the host does not do what it was asked for, which it has also logged. */
	[CCode (cname = "int32_t", cprefix = "TASKHOST_REFUSED_", has_type_id = false)]
	public enum Refusal {
		[CCode (cname = "TASKHOST_OK")]
		NONE,
		CALL, ARGUMENT, CLOSED, ALWAYS, LOOP, DESCRIPTORS, MEMORY, THREADS
	}

	[CCode (cname = "int32_t", cprefix = "TASKHOST_LOG_", has_type_id = false)]
	public enum LogLevel { TRACE, DEBUG, INFO, WARNING, ERROR }

	/* READABLE and WRITABLE can be watched for; all of them can be told by take_ready. */
	[Flags]
	[CCode (cname = "uint32_t", cprefix = "TASKHOST_", has_type_id = false)]
	public enum Interests { READABLE, WRITABLE, BROKEN, DONE }

	/* A watched descriptor that is ready, or offloaded work that is DONE. */
	[CCode (cname = "taskhost_ready", has_type_id = false, has_copy_function = false, has_destroy_function = false)]
	public struct Ready {
		public uint64 tag;
		public Interests what;
		public uint32 reserved;
	}

	[CCode (has_target = false, has_typedef = false)]
	public delegate void WorkFunc (void* argument);

	[CCode (cname = "taskhost_work", has_type_id = false, has_copy_function = false, has_destroy_function = false)]
	public struct Work {
		public uint32 struct_size;
		public uint32 reserved;
		public uint64 tag;
		public void* argument;
		public WorkFunc run;
		public WorkFunc? discard;
	}

	[Flags]
	[CCode (cname = "uint32_t", cprefix = "TASKHOST_WAIT_", has_type_id = false)]
	public enum Waited { STOP, WAKE, TIME }

	/* Wakes one execution: services.wake (waker). [anywhere] A value; after the execution's end it does nothing. */
	[SimpleType]
	[IntegerType (rank = 11)]
	[CCode (cname = "taskhost_waker", has_type_id = false)]
	public struct Waker : uint64 {}

	/* An execution's view of its host. Owned by the host; use it until its drop returns. */
	[Compact]
	[CCode (cname = "const taskhost_exec", has_type_id = false, free_function = "")]
	public class Execution {
		public unowned Services services;

		/* [any-thread] */
		public void log (LogLevel level, string text) { services.log (this, level, text, text.length); }
		public void debug (string text) { log (LogLevel.DEBUG, text); }
		public void info (string text) { log (LogLevel.INFO, text); }
		public void warning (string text) { log (LogLevel.WARNING, text); }
		public void error (string text) { log (LogLevel.ERROR, text); }
		public unowned string config { get { return services.config (this, null); } }
		public unowned string task_name { get { return services.task_name (this); } }
		public uint64 number { get { return services.execution_number (this); } }
		public bool stop_requested { get { return services.stop_requested (this) != 0; } }
		public uint64 now { get { return services.now (); } }
		public void ready () { services.ready (this); }
		public void heartbeat () { services.heartbeat (this); }
		/* What the execution is doing, in one line, for operators; replaces the last one. */
		public void status (string text) { services.status (this, text, text.length); }

		/* [any-thread] The process's signals, which a plugin must not handle; null if the host does not share them. */
		public unowned Signals? signals {
			get { return (Signals?) services.extension (this, EXTENSION_SIGNALS, SIGNALS_REVISION); }
		}

		/* [execution] For `return execution.fail ("why");` */
		public Status fail (string text) { return services.fail (this, text, text.length); }

		/* [execution] The status for an error that was caught. */
		public Status failed (GLib.Error error) {
			return error.domain == GLib.Quark.from_string ("taskhost") ? Status.ERROR : fail (error.message);
		}

		/* [execution] One timer per execution: a new time replaces the old one, NEVER clears it. */
		public void wake_at (uint64 time) { services.wake_at (this, time); }
		public void wake_after (uint64 delay) { services.wake_after (this, delay); }

		/* [execution, poll only] Wakes the execution as long as the descriptor is ready. Replaces interests and tag of an
		 * earlier call. As many descriptors as you like; each is forgotten before it is closed. */
		public Refusal watch (int64 descriptor, Interests interests, uint64 tag = 0) {
			return services.watch (this, descriptor, interests, tag);
		}
		/* [execution, poll only; drop] */
		public void forget (int64 descriptor) { services.watch (this, descriptor, 0, 0); }

		/* [execution, poll only] Fills `list` with what is ready now, and returns how many. A descriptor comes again as
		 * long as it is ready; work that is done comes once. If the list was full, return AGAIN: there may be more. */
		public size_t take_ready (Ready[] list) { return services.take_ready (this, list, list.length); }

		/* [execution, poll only] Calls `run` on another thread, which it may block; take_ready then tells the tag, and the
		 * argument is the execution's again. If the execution ends before, `discard` is called instead. The work owns all
		 * that it uses, since it may outlive the execution. If it is refused, nothing of it is called. */
		public Refusal offload (WorkFunc run, void* argument, WorkFunc? discard, uint64 tag = 0) {
			Work work = { (uint32) sizeof (Work), 0, tag, argument, run, discard };
			return services.offload (this, ref work);
		}

		/* [execution, run only] For a loop of the task's own: readable while a wait would return for a wake or the stop.
		 * The host's: it is neither read nor closed. -1: there is none to be had. */
		public int64 wait_fd { get { return services.wait_fd (this); } }

		/* [execution] The waker itself may be used on any thread, with the services. */
		public Waker waker { get { return services.waker (this); } }

		/* [execution, run only] Sleeps until that time, a wake or the stop. */
		public Waited wait_until (uint64 time) { return services.wait (this, time); }
		public Waited wait_for (uint64 delay) {
			return services.wait (this, delay < NEVER - now ? now + delay : NEVER);
		}

		/* [execution] These read the config. `pointer` is a JSON pointer: "/every", "/pins/0". If there is no value, the
		 * default is returned. A wrong value throws an error whose text the host already has: pass it to failed.
		 * config_keys lists the top-level keys that the task knows, separated by blanks; any other key is an error. */
		public void config_keys (string keys) throws GLib.Error { check (config_reader ().keys (this, keys)); }
		public void config_require (string pointer) throws GLib.Error {
			check (config_reader ().require (this, pointer));
		}
		public string config_text (string pointer, string otherwise = "") throws GLib.Error {
			unowned string value = otherwise;
			check (config_reader ().text (this, pointer, ref value, null));
			return value;
		}
		public int64 config_integer (string pointer, int64 otherwise = 0, int64 least = int64.MIN,
		                             int64 most = int64.MAX) throws GLib.Error {
			int64 value = otherwise;
			check (config_reader ().integer (this, pointer, least, most, ref value));
			return value;
		}
		public double config_number (string pointer, double otherwise = 0) throws GLib.Error {
			double value = otherwise;
			check (config_reader ().number (this, pointer, ref value));
			return value;
		}
		public bool config_boolean (string pointer, bool otherwise = false) throws GLib.Error {
			int32 value = otherwise ? 1 : 0;
			check (config_reader ().boolean (this, pointer, ref value));
			return value != 0;
		}
		public uint64 config_duration (string pointer, uint64 otherwise = 0) throws GLib.Error {
			uint64 value = otherwise;
			check (config_reader ().duration (this, pointer, ref value));
			return value;
		}
		/* Reads a duration that does not stand in the config. False if it is none; `value` is then left as it is. */
		public bool parse_duration (string text, ref uint64 value) throws GLib.Error {
			return config_reader ().parse_duration (text, text.length, ref value) == Status.OK;
		}
		public size_t config_count (string pointer) throws GLib.Error {
			size_t value = 0;
			check (config_reader ().count (this, pointer, ref value));
			return value;
		}
		public unowned ConfigReader config_reader () throws GLib.Error {
			unowned ConfigReader? reader = (ConfigReader?) services.extension (this, EXTENSION_CONFIG, CONFIG_REVISION);
			if (reader == null) {
				fail ("this host reads no configs (extension taskhost.config)");
				check (Status.ERROR);
			}
			return reader;
		}
		private static void check (Status status) throws GLib.Error {
			if (status != Status.OK) throw new GLib.Error (GLib.Quark.from_string ("taskhost"), status, "wrong config");
		}
	}

	/* What the host does for an execution; stays valid as long as the process lives. */
	[Compact]
	[CCode (cname = "const taskhost_services", has_type_id = false, free_function = "")]
	public class Services {
		public uint32 struct_size;
		public uint32 abi_minor;
		public LogFunc log;
		public FailFunc fail;
		public ConfigFunc config;
		public TaskNameFunc task_name;
		public ExecutionNumberFunc execution_number;
		public StopRequestedFunc stop_requested;
		public NowFunc now;
		public WakerFunc waker;
		public WakeFunc wake;
		public WakeAtFunc wake_at;
		public WakeAfterFunc wake_after;
		public WatchFunc watch;
		public TakeReadyFunc take_ready;
		public OffloadFunc offload;
		public WaitFunc wait;
		public WaitFdFunc wait_fd;
		public ReadyFunc ready;
		public HeartbeatFunc heartbeat;
		public StatusFunc status;
		public ExtensionFunc extension;
	}

	[CCode (has_target = false, has_typedef = false)]
	public delegate void LogFunc (Execution execution, LogLevel level, string text, size_t size);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status FailFunc (Execution execution, string text, size_t size);
	[CCode (has_target = false, has_typedef = false)]
	public delegate unowned string ConfigFunc (Execution execution, size_t* size);
	[CCode (has_target = false, has_typedef = false)]
	public delegate unowned string TaskNameFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate uint64 ExecutionNumberFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate int32 StopRequestedFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate uint64 NowFunc ();
	[CCode (has_target = false, has_typedef = false)]
	public delegate Waker WakerFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void WakeFunc (Waker waker);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void WakeAtFunc (Execution execution, uint64 time);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void WakeAfterFunc (Execution execution, uint64 delay);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Refusal WatchFunc (Execution execution, int64 fd, Interests interests, uint64 tag);
	[CCode (has_target = false, has_typedef = false)]
	public delegate size_t TakeReadyFunc (Execution execution, Ready* list, size_t capacity);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Refusal OffloadFunc (Execution execution, [CCode (type = "const taskhost_work*")] ref Work work);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Waited WaitFunc (Execution execution, uint64 time);
	[CCode (has_target = false, has_typedef = false)]
	public delegate int64 WaitFdFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void ReadyFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void HeartbeatFunc (Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void StatusFunc (Execution execution, string text, size_t size);
	[CCode (has_target = false, has_typedef = false)]
	public delegate unowned Table? ExtensionFunc (Execution execution, string id, uint32 revision);

	/* The table of any extension. */
	[Compact]
	[CCode (cname = "const void", has_type_id = false, free_function = "")]
	public class Table {}

	/* The functions of one execution. */
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status StartFunc (void* state, Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status PollFunc (void* state, Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status RunFunc (void* state, Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status FinishFunc (void* state, Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate void DropFunc (void* state, Execution execution);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status CheckFunc (Execution execution);

	/* The recipe for one kind of task, as a constant: const Factory[] BEAT = {{ … }}; */
	[CCode (cname = "taskhost_factory", has_type_id = false, destroy_function = "", has_destroy_function = false)]
	public struct Factory {
		public uint32 struct_size;
		public uint32 required_minor;
		public unowned string name;
		public unowned string? version;
		public unowned string? description;
		public size_t state_size;
		public size_t state_align;
		public uint32 flags;
		public uint32 reserved;
		public StartFunc? start;
		public PollFunc? poll;
		public RunFunc? run;
		public FinishFunc? finish;
		public DropFunc? drop;
		public CheckFunc? check;
		public unowned FirstFactory? next;
	}

	/* The return type of the entry: (FirstFactory) BEAT. */
	[Compact]
	[CCode (cname = "const taskhost_factory", has_type_id = false, free_function = "")]
	public class FirstFactory {}

	[CCode (cname = "TASKHOST_EXTENSION_CONFIG", cheader_filename = "taskhost/ext/config.h")]
	public const string EXTENSION_CONFIG;
	[CCode (cname = "TASKHOST_CONFIG_REVISION", cheader_filename = "taskhost/ext/config.h")]
	public const uint32 CONFIG_REVISION;

	[Compact]
	[CCode (cname = "const taskhost_config_reader", cheader_filename = "taskhost/ext/config.h", has_type_id = false,
	        free_function = "")]
	public class ConfigReader : Table {
		public uint32 struct_size;
		public uint32 revision;
		public KeysFunc keys;
		public KeysFunc require;
		public TextFunc text;
		public IntegerFunc integer;
		public NumberFunc number;
		public BooleanFunc boolean;
		public DurationFunc duration;
		public CountFunc count;
		public ParseDurationFunc parse_duration;
	}

	[CCode (has_target = false, has_typedef = false)]
	public delegate Status ParseDurationFunc (string text, size_t size, ref uint64 value);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status KeysFunc (Execution execution, string keys_or_pointer);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status TextFunc (Execution execution, string pointer, ref unowned string value, size_t* size);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status IntegerFunc (Execution execution, string pointer, int64 least, int64 most, ref int64 value);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status NumberFunc (Execution execution, string pointer, ref double value);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status BooleanFunc (Execution execution, string pointer, ref int32 value);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status DurationFunc (Execution execution, string pointer, ref uint64 value);
	[CCode (has_target = false, has_typedef = false)]
	public delegate Status CountFunc (Execution execution, string pointer, ref size_t value);

	[CCode (cname = "TASKHOST_EXTENSION_SIGNALS", cheader_filename = "taskhost/ext/signals.h")]
	public const string EXTENSION_SIGNALS;
	[CCode (cname = "TASKHOST_SIGNALS_REVISION", cheader_filename = "taskhost/ext/signals.h")]
	public const uint32 SIGNALS_REVISION;

	[Flags]
	[CCode (cname = "uint32_t", cprefix = "TASKHOST_SIGNAL_", cheader_filename = "taskhost/ext/signals.h",
	        has_type_id = false)]
	public enum SignalBits { INTERRUPT, TERMINATE, HANGUP, USER1, USER2 }

	[Compact]
	[CCode (cname = "const taskhost_signals", cheader_filename = "taskhost/ext/signals.h", has_type_id = false,
	        free_function = "")]
	public class Signals : Table {
		public uint32 struct_size;
		public uint32 revision;
		public SubscribeFunc subscribe;
		public TakeFunc take;
	}

	[CCode (has_target = false, has_typedef = false)]
	public delegate Status SubscribeFunc (Execution execution, SignalBits signals);
	[CCode (has_target = false, has_typedef = false)]
	public delegate SignalBits TakeFunc (Execution execution);
}
