/* @NAME@: greets at an interval, until it is stopped or has greeted "times" times. */
using Taskhost;

[CCode (has_type_id = false)] // a GType's name would have to be unique in the process
errordomain Failure { TOLD, WRONG_CONFIG }

/* One execution. */
[Compact (opaque = true)]
class Greeter {
	private string greeting;
	private string end;
	private uint64 every;
	private int64 times; // 0: unlimited
	private int64 done;
	private uint64 next; // time of the next greeting

	public Greeter (Execution execution) throws Error {
		execution.config_keys ("greeting every times end");
		greeting = execution.config_text ("/greeting", "hello from Vala");
		every = execution.config_duration ("/every", SECOND);
		times = execution.config_integer ("/times", 0, 0);
		end = execution.config_text ("/end", "ok");
		if (end != "ok" && end != "error") throw new Failure.WRONG_CONFIG ("config: /end: must be \"ok\" or \"error\"");
	}

	/* Called once after the start, then after each wake: by the timer, by the stop, or for no reason at all. */
	public Status poll (Execution execution) throws Error {
		if (execution.stop_requested) return Status.OK;
		var now = execution.now;
		if (now >= next) {
			execution.info (greeting);
			execution.ready ();
			if (++done == times) {
				if (end == "error") throw new Failure.TOLD ("was told to fail");
				return Status.OK;
			}
			next = now + every;
		}
		execution.wake_at (next);
		return Status.PENDING;
	}
}

/* The functions that the host calls. The host's memory for an execution, zeroed, holds the pointer to the object. */
private Status start (void* state, Execution execution) {
	try {
		Greeter* made = new Greeter (execution);
		*((Greeter**) state) = made;
		return Status.OK;
	} catch (Error error) {
		return execution.failed (error);
	}
}

private Status poll (void* state, Execution execution) {
	unowned Greeter greeter = *((Greeter**) state);
	try {
		return greeter.poll (execution);
	} catch (Error error) {
		return execution.failed (error);
	}
}

private void drop (void* state, Execution execution) {
	delete *((Greeter**) state);
}

/* Called by `taskhost check`, and before the host starts: is the config one that the constructor takes? */
private Status check (Execution execution) {
	try {
		new Greeter (execution);
		return Status.OK;
	} catch (Error error) {
		return execution.failed (error);
	}
}

private const Factory[] GREETER = {{
	(uint32) sizeof (Factory), 0, "@NAME@", "1.0", "greets at an interval", sizeof (Greeter*), 0, 0, 0,
	start, poll, null, null, drop, check, null
}};

[CCode (cname = "taskhost_plugin_v1")]
public unowned FirstFactory plugin () {
	return (FirstFactory) GREETER;
}
