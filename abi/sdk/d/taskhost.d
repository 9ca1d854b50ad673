/**
 * taskhost.d: write a task plugin as a D class. With taskhost_abi.d a file to copy; gdc 12 or ldc2 1.30 and later, on
 * Linux.
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
 * One object is one execution. It lies in the host's memory, which the garbage collector scans as long as it lives: so
 * it may refer to whatever D allocates. The constructor is the start, the destructor the drop. Nothing thrown leaves
 * the plugin: a Failure is the outcome `error`, any other Throwable `panic`, with its message.
 *
 * First what a task uses, then the border to the host, then what D's runtime needs. "Rule 2.7" is one of CONTRACT.md.
 * Threads: [execution] only from within this execution's own constructor, poll or run; [any-thread] from any thread
 * until the destructor returns; [anywhere] from any thread for ever.
 */
module taskhost;

import core.time : Duration;
public import taskhost_abi;

/// How a poll ended. failed: after Execution.fail; a thrown Failure says the same.
enum Poll : int
{
    done = TASKHOST_OK,
    pending = TASKHOST_PENDING,
    failed = TASKHOST_ERROR,
}

/// An expected failure: thrown from anywhere in a task it ends the execution with the outcome `error`.
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

/// What ended a wait.
struct Waited
{
    uint bits;
nothrow @safe @nogc:
    bool stop() const @property { return (bits & TASKHOST_WAIT_STOP) != 0; }
    bool wake() const @property { return (bits & TASKHOST_WAIT_WAKE) != 0; }
    bool time() const @property { return (bits & TASKHOST_WAIT_TIME) != 0; }
}

/// An execution's view of its host: a pointer in disguise. Copy it freely, use it until the destructor returns.
struct Execution
{
    const(taskhost_exec)* exec;

    /// [execution] A reader of the config. `keys` are those of its top level that the task knows, separated by blanks:
    /// another one is a Failure, as is a host that reads no configs.
    Config config(string keys) const
    {
        return Config(this, keys);
    }

nothrow @nogc:
    /// [any-thread]
    void log(int level, scope const(char)[] text) const { exec.services.log(exec, level, text.ptr, text.length); }
    void trace(scope const(char)[] text) const { log(TASKHOST_LOG_TRACE, text); }
    void debug_(scope const(char)[] text) const { log(TASKHOST_LOG_DEBUG, text); }
    void info(scope const(char)[] text) const { log(TASKHOST_LOG_INFO, text); }
    void warning(scope const(char)[] text) const { log(TASKHOST_LOG_WARNING, text); }
    void error(scope const(char)[] text) const { log(TASKHOST_LOG_ERROR, text); }

    /// [execution] `return execution.fail("why")` in poll; the same as a Failure, and allocates nothing.
    Poll fail(scope const(char)[] text) const
    {
        exec.services.fail(exec, text.ptr, text.length);
        return Poll.failed;
    }

    /// [any-thread] The config as JSON text, the host's until the destructor returns. For single values: config.
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

    /// [execution] The waker itself may go to any thread, of D or not.
    Waker waker() const @property { return Waker(exec.services, exec.services.waker(exec)); }

    /// [execution] One timer an execution: a new time replaces the old, Time.never clears it.
    void wakeAt(Time time) const { exec.services.wake_at(exec, time.nanoseconds); }
    void wakeAfter(Duration delay) const { exec.services.wake_after(exec, nanosecondsOf(delay)); }

    /// [execution] Once, for TASKHOST_READABLE, TASKHOST_WRITABLE or both; 0 forgets it. False: it can't be waited for.
    bool wakeOn(int descriptor, uint interests) const
    {
        return exec.services.wake_on_fd(exec, descriptor, interests) == TASKHOST_OK;
    }

    /// [execution, run only] Sleeps until then, a wake or the stop.
    Waited waitUntil(Time time) const { return Waited(exec.services.wait(exec, time.nanoseconds)); }
    Waited waitFor(Duration delay) const { return waitUntil(now + delay); }

    /// [any-thread] An extension's table, or null where this host has none.
    const(Table)* extension(Table)(const(char)* id, uint revision) const
    {
        return cast(const(Table)*) exec.services.extension(exec, id, revision);
    }

    /// [any-thread] The process's signals, which a plugin does not handle itself; null where the host keeps them.
    const(taskhost_signals)* signals() const @property
    {
        return extension!taskhost_signals(TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
    }
}

/// The values of a config, read by the host: throws a Failure that names the value and says what it should be.
/// [execution] `pointer` is a JSON pointer: "/every", "/pins/0". Where there is no value, the default comes back.
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

    /// The host's text, valid until the destructor returns: .idup it to keep it longer.
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

    /// Rounded up to the 100 ns in which Duration counts.
    Duration duration(string pointer, Duration otherwise = Duration.zero) const
    {
        import core.time : hnsecs;

        ulong value = nanosecondsOf(otherwise);
        check(reader.duration(execution.exec, toStringz(pointer), &value));
        return hnsecs(cast(long)(value / 100 + (value % 100 != 0)));
    }

    /// How many elements an array has.
    size_t count(string pointer) const
    {
        size_t value;
        check(reader.count(execution.exec, toStringz(pointer), &value));
        return value;
    }

    private static void check(int status)
    {
        if (status != TASKHOST_OK)
            throw new ReportedFailure;
    }
}

/// A kind of task: the class, its name, and what is said about it. Type has a constructor this(Execution) or none, and
/// either `Poll poll()`, which never blocks, or `void run()`, which may and has a thread of its own.
template Task(Type, string name_, string version_ = "1.0", string description_ = "")
{
    alias Class = Type;
    enum string name = name_;
    enum string version_text = version_;
    enum string description = description_;
}

/// Defines the entry: `mixin TaskhostPlugin!(Task!(A, "a"), Task!(B, "b"));` once a plugin, at module level.
mixin template TaskhostPlugin(Tasks...)
{
    pragma(mangle, TASKHOST_ENTRY_NAME) export extern (C) const(taskhost_factory)* taskhost_plugin_v1() nothrow @nogc
    {
        return &Factory!Tasks.factory;
    }
}

/// What the host gets: filled by the compiler, so each call of the entry returns the same.
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
        factory.drop = &Here.drop;
        static if (Tasks.length > 1)
            factory.next = &Factory!(Tasks[1 .. $]).factory;
        return factory;
    }

    __gshared const taskhost_factory factory = make();
}

// ---- the border: the functions of one execution, as the host calls them

/// Said already, by the host.
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

    /// The object in the host's memory. The Execution is kept for drop, which gets none.
    static struct Cell
    {
        import std.traits : classInstanceAlignment;

        Execution execution;
        align(classInstanceAlignment!Type) void[__traits(classInstanceSize, Type)] object;

        Type task() { return cast(Type) cast(void*) object.ptr; }
    }

    static extern (C) int start(void* state, const(taskhost_exec)* exec) nothrow
    {
        return guarded(exec, {
            import core.lifetime : emplace;
            import core.memory : GC;

            auto cell = cast(Cell*) state;
            cell.execution = Execution(exec);
            GC.addRange(state, Cell.sizeof, typeid(Type));
            scope (failure)
                GC.removeRange(state);
            static if (is(typeof(new Type(Execution.init))))
                emplace!Type(cell.object[], cell.execution);
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

    /// The end is decided by now, so what a destructor throws can only be logged (rule 3.7).
    static extern (C) void drop(void* state) nothrow
    {
        import core.memory : GC;

        auto cell = cast(Cell*) state;
        const execution = cell.execution;
        try
        {
            enterRuntime();
            scope (exit)
                GC.removeRange(state);
            auto object = cell.task;
            destroy(object);
        }
        catch (Throwable thrown)
            execution.error(thrown.msg);
    }
}

/// Calls it as D code may be called, and turns what it throws into a status.
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

// ---- D's runtime in a process that is not D's
//
// It is initialised when the library is loaded, by the thread that loads: it only knows the libraries of that thread,
// and two plugins can't begin it at once, since loads come one after the other. Threads of the host are made known to
// it when they first call in, and forgotten when they end: so that the collector stops them and scans their stacks and
// thread-local variables, and does not wait for those that are gone.

private extern (C) nothrow
{
    int rt_init();
    void thread_setGCSignals(int suspend, int resume) @nogc;
    void thread_detachThis() @nogc;
}

private __gshared bool initialised;
private enum unusable = "D's runtime can't begin: another one is here (a plugin of the other D compiler), or something"
    ~ " handles its signals";
private __gshared pthread_key_t leaving; // its destructor is called at a thread's end

import core.sys.posix.pthread : pthread_key_t;
import core.thread.osthread : Thread;

/// The collector stops threads by signal. druntime's own choice, USR1 and USR2, is the user's here.
private enum firstCollectorSignal = 10;

private int collectorSignal(int which) nothrow @nogc
{
    import core.sys.posix.signal : SIGRTMIN;

    return SIGRTMIN + firstCollectorSignal + which;
}

/// A load has no effect that another task could see: no thread, no file, and handlers for two signals nobody uses.
pragma(crt_constructor) extern (C) void taskhost_d_loaded() nothrow
{
    import core.gc.config : config;
    import core.memory : GC;
    import core.sys.posix.pthread : pthread_key_create, pthread_setspecific;
    import core.thread : thread_isMainThread;

    const there = Thread.getThis() !is null || !thread_isMainThread(); // both are null before the first rt_init
    if (!there)
    {
        if (taken(collectorSignal(0)) || taken(collectorSignal(1)))
            return;
        config.parallel = 0; // else the collector starts threads
        thread_setGCSignals(collectorSignal(0), collectorSignal(1));
    }
    initialised = rt_init() != 0 && pthread_key_create(&leaving, &leaveRuntime) == 0;
    if (initialised)
        GC.free(GC.malloc(1)); // makes the collector, which takes no ranges from two threads at once before
    if (initialised && !there) // rt_init made this thread known
    {
        attachedHere = true;
        pthread_setspecific(leaving, &leaving);
    }
}

/// Two collectors would stop each other's threads in the middle of a collection, and wait for ever.
private bool taken(int number) nothrow @nogc
{
    import core.sys.posix.signal : sigaction, sigaction_t;

    sigaction_t action;
    return sigaction(number, null, &action) == 0 && action.sa_handler !is null;
}

private bool entered; // thread-local, as the next
private bool attachedHere; // by this plugin and not by another in D
private void* threadMemory; // of the Thread that stands for this thread

/// Makes this thread known to the runtime, once. Returns what is wrong, if something is.
private string enterRuntime()
{
    import core.runtime : Runtime;
    import core.stdc.string : strlen;
    import core.sys.linux.dlfcn : Dl_info, dladdr;
    import core.sys.posix.pthread : pthread_setspecific;

    if (entered)
        return null;
    if (!initialised)
        return unusable;
    // The library is loaded already. This gives the thread its thread-local variables, and the collector their places:
    // druntime keeps exceptions in flight in one. A list grows thereby, which no collection may see half done.
    auto thread = Thread.getThis(); // another plugin has attached this thread, if it is there
    if (thread !is null)
        thread_detachThis();
    Dl_info library;
    void* handle;
    if (dladdr(&taskhost_d_loaded, &library) != 0)
        handle = Runtime.loadLibrary(library.dli_fname[0 .. strlen(library.dli_fname)]);
    if (thread is null)
    {
        thread = newThread();
        attachedHere = thread !is null;
    }
    if (thread !is null)
        attach(thread);
    pthread_setspecific(leaving, handle is null ? &leaving : handle);
    if (handle is null || thread is null)
        return "D's runtime can't be entered: no memory, or it does not find the plugin";
    entered = true;
    return null;
}

/// thread_attachThis allocates the Thread with the collector, which may take it away again before it is attached: this
/// stack is not scanned yet. So it gets memory that is scanned from the start.
private Thread newThread()
{
    import core.lifetime : emplace;
    import core.memory : GC;
    import core.stdc.stdlib : calloc;

    enum size = __traits(classInstanceSize, Thread);
    threadMemory = calloc(1, size);
    if (threadMemory is null)
        return null;
    GC.addRange(threadMemory, size);
    return emplace!Thread(threadMemory[0 .. size], () {});
}

private void attach(Thread thread)
{
    import core.sys.posix.signal : SIG_UNBLOCK, pthread_sigmask, sigaddset, sigemptyset, sigset_t;
    static import core.thread.osthread;

    // A thread that blocks the signals would never stop, and the collector wait for ever.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, collectorSignal(0));
    sigaddset(&signals, collectorSignal(1));
    pthread_sigmask(SIG_UNBLOCK, &signals, null);
    __traits(getMember, core.thread.osthread, "attachThread")(thread); // what thread_attachThis calls
}

/// At the thread's end. What leaves the list of libraries is hidden from collections, as above.
private extern (C) void leaveRuntime(void* handle)
{
    import core.memory : GC;
    import core.runtime : Runtime;
    import core.stdc.stdlib : free;

    if (attachedHere)
        thread_detachThis();
    if (handle != &leaving)
        Runtime.unloadLibrary(handle);
    if (threadMemory !is null)
    {
        auto thread = cast(Thread) threadMemory;
        destroy(thread);
        GC.removeRange(threadMemory);
        free(threadMemory);
        threadMemory = null;
    }
    entered = attachedHere = false;
}
