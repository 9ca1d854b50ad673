/**
 * taskhost_offload.d: work that blocks, on threads of the host's. Used by taskhost.d: Execution.offload and takeReady.
 */
module taskhost_offload;

import taskhost : Failure;
import taskhost_abi;
import taskhost_runtime : enterRuntime;

/// Work that Execution.offload has given to another thread.
abstract class OffloadedWork
{
    private ulong tag;
    private bool told;
    private string problem;
    private Throwable thrown;

    private this(ulong tag) pure nothrow @safe @nogc { this.tag = tag; }

    /// [execution] True once takeReady has told that the function has returned.
    final bool done() const pure nothrow @safe @nogc @property { return told; }

    protected abstract void call();
}

/// The same, with what it returns.
final class Offloaded(R) : OffloadedWork
{
    private R delegate() work;
    static if (!is(R == void))
        private R value;

    private this(R delegate() work, ulong tag)
    {
        super(tag);
        this.work = work;
    }

    /// [execution] Returns what the function returned, or throws what it threw; an Error if it is not done.
    R result()
    {
        if (!done)
            throw new Error("the result of offloaded work was asked for before takeReady had told that it is there");
        if (problem.length)
            throw new Failure(problem);
        if (thrown !is null)
            throw thrown;
        static if (!is(R == void))
            return value;
    }

    protected override void call()
    {
        static if (is(R == void))
            work();
        else
            value = work();
    }
}

/// Keeps offloaded work alive while it is the host's, in memory that the collector scans but does not own: from
/// handOver until takeReady tells it, or the host discards it.
private struct Kept
{
    OffloadedWork work;
}

Offloaded!R handOver(R)(const(taskhost_exec)* exec, ulong tag, R delegate() work)
{
    auto offloaded = new Offloaded!R(work, tag);
    handOver(exec, offloaded);
    return offloaded;
}

private void handOver(const(taskhost_exec)* exec, OffloadedWork work)
{
    import core.memory : GC;
    import core.stdc.stdlib : calloc;

    auto kept = cast(Kept*) calloc(1, Kept.sizeof);
    if (kept is null)
        throw new Failure("no memory for work that blocks");
    GC.addRange(kept, Kept.sizeof);
    kept.work = work;
    taskhost_work handed;
    handed.tag = cast(size_t) kept;
    handed.argument = kept;
    handed.run = &runKept;
    handed.discard = &letGo;
    if (exec.services.offload(exec, &handed) == TASKHOST_OK)
        return;
    letGo(kept);
    throw new Failure("no thread for work that blocks: the host's log says why");
}

private extern (C) void runKept(void* argument) nothrow
{
    auto work = (cast(Kept*) argument).work;
    try
    {
        work.problem = enterRuntime();
        if (work.problem is null)
            work.call();
    }
    catch (Throwable thrown)
        work.thrown = thrown;
}

private extern (C) void letGo(void* argument) nothrow @nogc
{
    import core.memory : GC;
    import core.stdc.stdlib : free;

    GC.removeRange(argument);
    free(argument);
}

/// Returns the task's own tag.
ulong takeBack(ulong tag) nothrow @nogc
{
    auto kept = cast(Kept*) cast(size_t) tag;
    auto work = kept.work;
    work.told = true;
    letGo(kept);
    return work.tag;
}
