/// The probe in D: see README.md.
module probe;

import core.time : Duration, msecs;
import std.conv : text;
import taskhost;

long twice(long number, bool fails)
{
    import core.thread : Thread;

    Thread.sleep(1.msecs);
    if (fails)
        throw new Failure("the work failed");
    auto garbage = new long[](1000); // allocates, and so may collect, on the host's thread
    garbage[] = number;
    return garbage[0] + garbage[$ - 1];
}

final class Probe
{
    private enum Tag : ulong { input = 7, work = 9 }

    private Execution execution;
    private int descriptor;
    private bool fails;
    private bool workDone;
    private int finishes;
    private Offloaded!long work;

    static void check(Execution execution)
    {
        const config = execution.config("fd fail");
        Duration delay;
        if (!config.parseDuration("250ms and more"[0 .. 5], delay) || config.parseDuration("soon", delay)
                || delay != 250.msecs)
            throw new Failure("reads no durations");
        if (config.integer("/fd") < 0)
            throw new Failure("fd: must not be negative");
    }

    this(Execution execution)
    {
        this.execution = execution;
        check(execution);
        const config = execution.config("fd fail");
        descriptor = cast(int) config.integer("/fd");
        fails = config.integer("/fail") != 0;
        execution.status("waiting");
        if (execution.watch(descriptor, TASKHOST_READABLE, Tag.input) != TASKHOST_OK)
            throw new Failure("can't wait");
    }

    Poll poll()
    {
        if (workDone || execution.stopRequested)
            return Poll.done;
        taskhost_ready[16] list;
        foreach (ready; execution.takeReady(list))
        {
            if (ready.tag == Tag.input)
            {
                execution.info(text("ready ", ready.tag, " ", ready.what));
                execution.forget(descriptor);
                work = execution.offload(Tag.work, &twice, 21L, fails);
                execution.status("working");
                continue;
            }
            execution.info(text("done ", ready.tag, " ", work.result));
            workDone = true;
            return Poll.again;
        }
        return Poll.pending;
    }

    Poll finish()
    {
        switch (finishes++)
        {
        case 0:
            return Poll.again;
        case 1:
            execution.wakeAfter(1.msecs);
            return Poll.pending;
        default:
            execution.info("finishing");
            return Poll.done;
        }
    }

    ~this()
    {
        execution.info("dropped");
    }
}

final class Waiter
{
    private Execution execution;

    this(Execution execution)
    {
        this.execution = execution;
    }

    void run()
    {
        execution.info(text("wait_fd ", execution.waitDescriptor));
    }
}

mixin TaskhostPlugin!(Task!(Probe, "probe"), Task!(Waiter, "waiter"));
