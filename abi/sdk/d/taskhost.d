/**
 * taskhost.d: write a task plugin as a D class. Copy it together with the other three files of this folder; for gdc 12
 * or ldc2 1.30 and later, on Linux.
 *
 *     import taskhost;
 *     import core.time;
 *
 *     final class Beat
 *     {
 *         private Execution execution;
 *
 *         this(Execution execution) { this.execution = execution; } // a start; may throw
 *
 *         Poll poll()                                               // or: void run(), which may block
 *         {
 *             if (execution.stopRequested) return Poll.done;
 *             execution.info("beat");
 *             execution.wakeAfter(1.seconds);
 *             return Poll.pending;
 *         }
 *     }
 *
 *     mixin TaskhostPlugin!(Task!(Beat, "beat"));
 *
 * Each object is one execution. It is in the host's memory, which the garbage collector scans as long as the object
 * lives, so it may refer to whatever D allocates. The constructor is the start, the destructor the drop. No Throwable
 * leaves the plugin: a Failure is the outcome `error`, any other is `panic`, with its message.
 *
 * The file has the API for tasks, then the border to the host. Rule numbers are those of CONTRACT.md. Threads:
 * [execution] only from this execution's own constructor, poll, run or finish; [any-thread] from any thread until the
 * destructor returns; [anywhere] from any thread at any time.
 */
module taskhost;

import core.time : Duration;
import std.traits : hasUnsharedAliasing, isFunctionPointer;
public import taskhost_abi;
public import taskhost_offload : Offloaded, OffloadedWork;
import taskhost_offload : handOver, takeBack;
import taskhost_runtime : enterRuntime;

/// The result of a poll. pending: poll again after a wake; again: after the other tasks have had their turn. failed:
/// after Execution.fail; throwing a Failure has the same effect.
enum Poll : int
{
    done = TASKHOST_OK,
    pending = TASKHOST_PENDING,
    failed = TASKHOST_ERROR,
    again = TASKHOST_AGAIN,
}

/// An expected failure: thrown anywhere in a task, it ends the execution with the outcome `error`.
class Failure : Exception
{
    this(string text, string file = __FILE__, size_t line = __LINE__) pure nothrow @safe
    {
        super(text, file, line);
    }
}

/// A time of the host's clock, which counts from an arbitrary point. Duration counts in steps of 100 ns.
struct Time
{
    ulong nanoseconds;
    enum never = Time(TASKHOST_NEVER);

pure nothrow @safe @nogc:
    Time opBinary(string op : "+")(Duration delay) const
    {
        const more = nanosecondsOf(delay);
        return Time(more < TASKHOST_NEVER - nanoseconds ? nanoseconds + more : TASKHOST_NEVER);
    }

    Duration opBinary(string op : "-")(Time other) const
    {
        import core.time : hnsecs;

        return hnsecs((cast(long) nanoseconds - cast(long) other.nanoseconds) / 100);
    }

    int opCmp(Time other) const
    {
        return nanoseconds < other.nanoseconds ? -1 : nanoseconds > other.nanoseconds;
    }
}

/// Wakes one execution. [anywhere] A value to copy; after the execution's end it does nothing.
struct Waker
{
    private const(taskhost_services)* services; // lives as long as the process
    private taskhost_waker value;

    void wake() const nothrow @nogc
    {
        if (services !is null)
            services.wake(value);
    }
}

/// The reasons why a wait ended.
struct Waited
{
    uint bits;
nothrow @safe @nogc:
    bool stop() const @property { return (bits & TASKHOST_WAIT_STOP) != 0; }
    bool wake() const @property { return (bits & TASKHOST_WAIT_WAKE) != 0; }
    bool time() const @property { return (bits & TASKHOST_WAIT_TIME) != 0; }
}

/// An execution's view of its host. It wraps a pointer: copy it freely, use it until the destructor returns.
struct Execution
{
    const(taskhost_exec)* exec;

    /// [execution] A reader of the config. `keys` lists the top-level keys that the task knows, separated by blanks;
    /// any other key throws a Failure, as does a host that reads no configs.
    Config config(string keys) const
    {
        return Config(this, keys);
    }

    /// [execution, poll only] Calls `work`, a function without a context, with copies of `args` on another thread,
    /// which it may block. When it has returned, takeReady tells the tag, once, and the object has its result. If this
    /// execution ends first, the work goes on, and its result is thrown away. `work` uses no Execution. Throws a
    /// Failure if the host has no thread.
    auto offload(F, Args...)(ulong tag, F work, Args args) const
    if (isFunctionPointer!F && is(typeof(work(args))))
    {
        static assert(!hasUnsharedAliasing!Args, "offload: an argument refers to data that the task may change or that"
                ~ " ends with it; pass values, or what is immutable or shared (.idup)");
        return handOver(exec, tag, () => work(args));
    }

nothrow @nogc:
    /// [any-thread]
    void log(int level, scope const(char)[] text) const { exec.services.log(exec, level, text.ptr, text.length); }
    void trace(scope const(char)[] text) const { log(TASKHOST_LOG_TRACE, text); }
    void debug_(scope const(char)[] text) const { log(TASKHOST_LOG_DEBUG, text); }
    void info(scope const(char)[] text) const { log(TASKHOST_LOG_INFO, text); }
    void warning(scope const(char)[] text) const { log(TASKHOST_LOG_WARNING, text); }
    void error(scope const(char)[] text) const { log(TASKHOST_LOG_ERROR, text); }

    /// [execution] For `return execution.fail("why")` in poll; like throwing a Failure, but allocates nothing.
    Poll fail(scope const(char)[] text) const
    {
        exec.services.fail(exec, text.ptr, text.length);
        return Poll.failed;
    }

    /// [any-thread] The config as JSON text, owned by the host, valid until the destructor returns. For single values
    /// use config.
    const(char)[] configText() const @property
    {
        size_t size;
        const text = exec.services.config(exec, &size);
        return text[0 .. size];
    }

    /// [any-thread]
    const(char)[] taskName() const @property
    {
        import core.stdc.string : strlen;

        const text = exec.services.task_name(exec);
        return text[0 .. strlen(text)];
    }

    /// [any-thread]
    ulong number() const @property { return exec.services.execution_number(exec); }
    bool stopRequested() const @property { return exec.services.stop_requested(exec) != 0; }
    Time now() const @property { return Time(exec.services.now()); }
    void ready() const { exec.services.ready(exec); }
    void heartbeat() const { exec.services.heartbeat(exec); }

    /// [execution] The waker itself may be used on any thread, of D or not.
    Waker waker() const @property { return Waker(exec.services, exec.services.waker(exec)); }

    /// [execution] One timer per execution: a new time replaces the old one, Time.never clears it.
    void wakeAt(Time time) const { exec.services.wake_at(exec, time.nanoseconds); }
    void wakeAfter(Duration delay) const { exec.services.wake_after(exec, nanosecondsOf(delay)); }

    /// [execution, poll only] As long as the descriptor is ready for TASKHOST_READABLE, TASKHOST_WRITABLE or both, the
    /// execution is woken, and takeReady tells the tag. Replaces an earlier watch of the descriptor. Returns
    /// TASKHOST_OK, or a TASKHOST_REFUSED_ that the host has logged.
    int watch(int descriptor, uint interests, ulong tag = 0) const
    {
        return exec.services.watch(exec, descriptor, interests, tag);
    }

    /// [execution, poll only, and in the destructor] Ends the watch: to be called before the descriptor is closed.
    void forget(int descriptor) const { exec.services.watch(exec, descriptor, 0, 0); }

    /// [execution, poll only] What is ready now: fills the list's beginning, and returns it. A watched descriptor comes
    /// again as long as it is ready; offloaded work comes once, with `what == TASKHOST_DONE`.
    taskhost_ready[] takeReady(taskhost_ready[] list) const
    {
        auto ready = list[0 .. exec.services.take_ready(exec, list.ptr, list.length)];
        foreach (ref one; ready)
            if (one.what == TASKHOST_DONE)
                one.tag = takeBack(one.tag);
        return ready;
    }

    /// [any-thread] What the execution is doing, for operators: one line of up to 256 bytes.
    void status(scope const(char)[] text) const { exec.services.status(exec, text.ptr, text.length); }

    /// [execution, run only] Sleeps until that time, a wake or the stop.
    Waited waitUntil(Time time) const { return Waited(exec.services.wait(exec, time.nanoseconds)); }
    Waited waitFor(Duration delay) const { return waitUntil(now + delay); }

    /// [execution, run only] For a loop of the task's own: a descriptor that is readable while a wait would return for
    /// a wake or the stop. It is the host's: never read or close it. -1: there is none.
    int waitDescriptor() const @property { return cast(int) exec.services.wait_fd(exec); }

    /// [any-thread] An extension's table, or null if this host lacks the extension.
    const(Table)* extension(Table)(const(char)* id, uint revision) const
    {
        return cast(const(Table)*) exec.services.extension(exec, id, revision);
    }

    /// [any-thread] The process's signals, which a plugin must not handle itself; null if the host does not share them.
    const(taskhost_signals)* signals() const @property
    {
        return extension!taskhost_signals(TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
    }
}

/// The values of a config, read by the host. A wrong value throws a Failure that names it and says what it should be.
/// [execution] `pointer` is a JSON pointer: "/every", "/pins/0". If there is no value, the default is returned.
struct Config
{
    private Execution execution;
    private const(taskhost_config_reader)* reader;

    private this(Execution execution, string keys)
    {
        this.execution = execution;
        reader = execution.extension!taskhost_config_reader(TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
        if (reader is null)
            throw new Failure("this host reads no configs (extension " ~ TASKHOST_EXTENSION_CONFIG ~ ")");
        check(reader.keys(execution.exec, toStringz(keys)));
    }

    /// Throws if there is no value.
    void require(string pointer) const { check(reader.require(execution.exec, toStringz(pointer))); }

    /// Owned by the host, valid until the destructor returns: .idup it to keep it longer.
    const(char)[] text(string pointer, const(char)[] otherwise = "") const
    {
        const(char)* value = otherwise.ptr;
        size_t size = otherwise.length;
        check(reader.text(execution.exec, toStringz(pointer), &value, &size));
        return value[0 .. size];
    }

    long integer(string pointer, long otherwise = 0, long least = long.min, long most = long.max) const
    {
        check(reader.integer(execution.exec, toStringz(pointer), least, most, &otherwise));
        return otherwise;
    }

    double number(string pointer, double otherwise = 0) const
    {
        check(reader.number(execution.exec, toStringz(pointer), &otherwise));
        return otherwise;
    }

    bool boolean(string pointer, bool otherwise = false) const
    {
        int value = otherwise;
        check(reader.boolean(execution.exec, toStringz(pointer), &value));
        return value != 0;
    }

    /// Rounded up to a multiple of 100 ns, the unit of Duration.
    Duration duration(string pointer, Duration otherwise = Duration.zero) const
    {
        ulong value = nanosecondsOf(otherwise);
        check(reader.duration(execution.exec, toStringz(pointer), &value));
        return roundedUp(value);
    }

    /// Reads a duration that does not stand in the config. If the text is none: false, and `value` is left as it is.
    bool parseDuration(const(char)[] text, ref Duration value) const
    {
        ulong nanoseconds;
        if (reader.parse_duration(text.ptr, text.length, &nanoseconds) != TASKHOST_OK)
            return false;
        value = roundedUp(nanoseconds);
        return true;
    }

    /// The number of elements of an array.
    size_t count(string pointer) const
    {
        size_t value;
        check(reader.count(execution.exec, toStringz(pointer), &value));
        return value;
    }

    private static Duration roundedUp(ulong nanoseconds)
    {
        import core.time : hnsecs;

        return hnsecs(cast(long)(nanoseconds / 100 + (nanoseconds % 100 != 0)));
    }

    private static void check(int status)
    {
        if (status != TASKHOST_OK)
            throw new ReportedFailure;
    }
}

/// A kind of task: the class, its name, version and description. Type has a constructor this(Execution) or none, and
/// either `Poll poll()`, which never blocks, or `void run()`, which may block and has a thread of its own. It may have
/// two further public methods:
/// - `Poll finish()`, with poll: an end that takes time. Polled after the execution has ended, until it returns done,
///   for up to the task's stop_timeout. The outcome is already decided: what it throws is logged.
/// - `static void check(Execution)`: throws a Failure if the config is one that no execution could live with. Called
///   before the host starts, and by `taskhost check`; only log, config, configText, taskName, now and extension work.
template Task(Type, string name_, string version_ = "1.0", string description_ = "")
{
    alias Class = Type;
    enum string name = name_;
    enum string version_text = version_;
    enum string description = description_;
}

/// Defines the entry: `mixin TaskhostPlugin!(Task!(A, "a"), Task!(B, "b"));`. Use it once per plugin, at module level.
mixin template TaskhostPlugin(Tasks...)
{
    pragma(mangle, TASKHOST_ENTRY_NAME) export extern (C) const(taskhost_factory)* taskhost_plugin_v1() nothrow @nogc
    {
        return &Factory!Tasks.factory;
    }
}

/// The factories, filled at compile time, so that each call of the entry returns the same pointer.
template Factory(Tasks...)
{
    static assert(Tasks.length > 0, "TaskhostPlugin: name at least one Task");
    private alias First = Tasks[0];
    private alias Here = Border!(First.Class);
    private enum polled = __traits(hasMember, First.Class, "poll");
    static assert(First.name.length > 0 && First.name.length <= 128, "Task: 1 to 128 bytes of name (rule 2.3)");
    static foreach (other; Tasks[1 .. $])
        static assert(other.name != First.name, "Task: two have the name \"" ~ First.name ~ "\" (rule 2.9)");

    private static const(taskhost_factory) make()
    {
        taskhost_factory factory;
        factory.name = First.name.ptr;
        factory.version_ = First.version_text.length ? First.version_text.ptr : null;
        factory.description = First.description.length ? First.description.ptr : null;
        factory.state_size = Here.Cell.sizeof;
        factory.state_align = Here.Cell.alignof;
        factory.start = &Here.start;
        static if (polled)
            factory.poll = &Here.poll;
        else
            factory.run = &Here.run;
        static if (Here.finishes)
            factory.finish = &Here.finish;
        factory.drop = &Here.drop;
        static if (Here.checks)
            factory.check = &Here.check;
        static if (Tasks.length > 1)
            factory.next = &Factory!(Tasks[1 .. $]).factory;
        return factory;
    }

    __gshared const taskhost_factory factory = make();
}

// ---- the border: the functions that the host calls for an execution

/// A failure whose text the host already has.
private final class ReportedFailure : Failure
{
    this() nothrow { super("wrong config"); }
}

private struct Border(Type)
{
    private enum polled = __traits(hasMember, Type, "poll");
    static assert(is(Type == class) && !__traits(isAbstractClass, Type), "Task: " ~ Type.stringof ~ " is no class");
    static assert(polled != __traits(hasMember, Type, "run"),
            "Task: " ~ Type.stringof ~ " needs a method `Poll poll()` or a method `void run()`, not both (rule 2.7)");

    private enum finishes = polled && is(typeof(Type.init.finish()));
    static if (finishes)
        static assert(is(typeof(Type.init.finish()) : Poll), "Task: " ~ Type.stringof ~ ".finish must return a Poll");
    static if (is(typeof(Type.check(Execution.init))))
        private enum checks = __traits(isStaticFunction, Type.check);
    else
        private enum checks = false;

    /// The object in the host's memory.
    static struct Cell
    {
        import std.traits : classInstanceAlignment;

        align(classInstanceAlignment!Type) void[__traits(classInstanceSize, Type)] object;

        Type task() { return cast(Type) cast(void*) object.ptr; }
    }

    static extern (C) int start(void* state, const(taskhost_exec)* exec) nothrow
    {
        return guarded(exec, {
            import core.lifetime : emplace;
            import core.memory : GC;

            auto cell = cast(Cell*) state;
            GC.addRange(state, Cell.sizeof, typeid(Type));
            scope (failure)
                GC.removeRange(state);
            static if (is(typeof(new Type(Execution.init))))
                emplace!Type(cell.object[], Execution(exec));
            else
                emplace!Type(cell.object[]);
            return TASKHOST_OK;
        });
    }

    static extern (C) int poll(void* state, const(taskhost_exec)* exec) nothrow
    {
        static if (polled)
            return guarded(exec, () => cast(int)(cast(Cell*) state).task.poll());
        else
            return TASKHOST_ERROR;
    }

    static extern (C) int run(void* state, const(taskhost_exec)* exec) nothrow
    {
        static if (polled)
            return TASKHOST_ERROR;
        else
            return guarded(exec, { (cast(Cell*) state).task.run(); return TASKHOST_OK; });
    }

    /// The outcome is already decided, so what finish or the destructor throws can only be logged (rule 3.7).
    static extern (C) int finish(void* state, const(taskhost_exec)* exec) nothrow
    {
        static if (finishes)
        {
            try
            {
                enterRuntime();
                const Poll result = (cast(Cell*) state).task.finish();
                if (result != Poll.failed)
                    return result;
            }
            catch (Throwable thrown)
                Execution(exec).error(thrown.msg);
        }
        return TASKHOST_OK;
    }

    static extern (C) void drop(void* state, const(taskhost_exec)* exec) nothrow
    {
        import core.memory : GC;

        try
        {
            enterRuntime();
            scope (exit)
                GC.removeRange(state);
            auto object = (cast(Cell*) state).task;
            destroy(object);
        }
        catch (Throwable thrown)
            Execution(exec).error(thrown.msg);
    }

    static extern (C) int check(const(taskhost_exec)* exec) nothrow
    {
        static if (checks)
            return guarded(exec, { Type.check(Execution(exec)); return TASKHOST_OK; });
        else
            return TASKHOST_OK;
    }
}

/// Calls a function on an attached thread, and turns what it throws into a status.
private int guarded(const(taskhost_exec)* exec, scope int delegate() call) nothrow
{
    const execution = Execution(exec);
    try
    {
        if (const problem = enterRuntime())
        {
            execution.fail(problem);
            return TASKHOST_ERROR;
        }
        return call();
    }
    catch (ReportedFailure)
        return TASKHOST_ERROR;
    catch (Failure failure)
        return execution.fail(failure.msg);
    catch (Throwable thrown)
    {
        execution.fail(thrown.msg.length ? thrown.msg : typeid(thrown).name);
        return TASKHOST_PANIC;
    }
}

private immutable(char)* toStringz(string text)
{
    return (text ~ '\0').ptr;
}

private ulong nanosecondsOf(Duration duration) pure nothrow @safe @nogc
{
    const hnsecs = duration.total!"hnsecs";
    if (hnsecs <= 0)
        return 0;
    return hnsecs < TASKHOST_NEVER / 100 ? cast(ulong) hnsecs * 100 : TASKHOST_NEVER;
}
