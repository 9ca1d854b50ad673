/* The task of services_test.cpp in Vala. */
using Taskhost;

[CCode (has_type_id = false)]
errordomain Failure { WRONG_CONFIG, REFUSED }

[Compact]
class Answer {
	public string? text;
	public void work () { text = "answer %d".printf (6 * 7); }
}

private void work (void* argument) { ((Answer*) argument)->work (); }
private void discard (void* argument) { delete (Answer*) argument; }

private int64 descriptor (Execution execution) throws Error {
	int64 number;
	if (!int64.try_parse (execution.config, out number)) throw new Failure.WRONG_CONFIG ("not a descriptor");
	return number;
}

[Compact (opaque = true)]
class Worker {
	private int64 fd;
	private int polls;
	private int ends;

	public Worker (Execution execution) throws Error {
		fd = descriptor (execution);
		if (execution.watch (-1, Interests.READABLE) == Refusal.CLOSED) execution.info ("refused");
		uint64 duration = 0;
		foreach (unowned string text in new string[] { "250ms", "soon" }) {
			bool is_one = execution.parse_duration (text, ref duration);
			execution.info (is_one ? "%s ns".printf (duration.to_string ()) : "no duration");
		}
		execution.status ("working");
		Answer* answer = new Answer ();
		if (execution.offload (work, answer, discard, (uint64) (size_t) answer) != Refusal.NONE) {
			delete answer;
			throw new Failure.REFUSED ("can't offload");
		}
		if (execution.watch (fd, Interests.READABLE) != Refusal.NONE) throw new Failure.REFUSED ("can't watch");
	}

	public Status poll (Execution execution) throws Error {
		if (++polls == 1) {
			execution.info ("again");
			return Status.AGAIN;
		}
		Ready list[4];
		var count = execution.take_ready (list);
		for (size_t i = 0; i < count; ++i) {
			if (list[i].what == Interests.DONE) {
				Answer* answer = (Answer*) (size_t) list[i].tag;
				execution.info (answer->text);
				delete answer;
			} else {
				execution.info ("readable");
				execution.forget (fd);
				return Status.OK;
			}
		}
		return Status.PENDING;
	}

	public Status finish (Execution execution) {
		if (++ends == 1) return Status.PENDING;
		execution.info ("finished");
		return Status.OK;
	}
}

private Status start (void* state, Execution execution) {
	try {
		Worker* made = new Worker (execution);
		*((Worker**) state) = made;
		return Status.OK;
	} catch (Error error) {
		return execution.failed (error);
	}
}

private Status poll (void* state, Execution execution) {
	unowned Worker worker = *((Worker**) state);
	try {
		return worker.poll (execution);
	} catch (Error error) {
		return execution.failed (error);
	}
}

private Status finish (void* state, Execution execution) {
	unowned Worker worker = *((Worker**) state);
	return worker.finish (execution);
}

private void drop (void* state, Execution execution) {
	execution.info ("dropped");
	delete *((Worker**) state);
}

private Status check (Execution execution) {
	try {
		descriptor (execution);
		return Status.OK;
	} catch (Error error) {
		return execution.failed (error);
	}
}

private const Factory[] WORKER = {{
	(uint32) sizeof (Factory), 0, "services", null, null, sizeof (Worker*), 0, 0, 0,
	start, poll, null, finish, drop, check, null
}};

[CCode (cname = "taskhost_plugin_v1")]
public unowned FirstFactory plugin () {
	return (FirstFactory) WORKER;
}
