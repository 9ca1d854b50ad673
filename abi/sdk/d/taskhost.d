/**
 * taskhost.d: write a task plugin as a D class. Copy it together with taskhost_abi.d; for gdc 12 or ldc2 1.30 and
 * later, on Linux.
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
 * The file has the API for tasks, then the border to the host, then the code for D's runtime. Rule numbers are those of
 * CONTRACT.md. Threads: [execution] only from this execution's own constructor, poll or run; [any-thread] from any
 * thread until the destructor returns; [anywhere] from any thread at any time.
 */
module taskhost;

import core.time : Duration;
public import taskhost_abi;

/// The result of a poll. failed: after Execution.fail; throwing a Failure has the same effect.
enum Poll : int
{
    done = TASKHOST_OK,
    pending = TASKHOST_PENDING,
    failed = TASKHOST_ERROR,
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

    /// [execution] One wake for TASKHOST_READABLE, TASKHOST_WRITABLE or both; 0 cancels the wait. False: the descriptor
    /// cannot be waited for.
    bool wakeOn(int descriptor, uint interests) const
    {
        return exec.services.wake_on_fd(exec, descriptor, interests) == TASKHOST_OK;
    }

    /// [execution, run only] Sleeps until that time, a wake or the stop.
    Waited waitUntil(Time time) const { return Waited(exec.services.wait(exec, time.nanoseconds)); }
    Waited waitFor(Duration delay) const { return waitUntil(now + delay); }

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
        import core.time : hnsecs;

        ulong value = nanosecondsOf(otherwise);
        check(reader.duration(execution.exec, toStringz(pointer), &value));
        return hnsecs(cast(long)(value / 100 + (value % 100 != 0)));
    }

    /// The number of elements of an array.
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

/// A kind of task: the class, its name, version and description. Type has a constructor this(Execution) or none, and
/// either `Poll poll()`, which never blocks, or `void run()`, which may block and has a thread of its own.
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
        factory.drop = &Here.drop;
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

    /// The object in the host's memory, with the Execution for drop, which gets none.
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

    /// The outcome is already decided, so what a destructor throws can only be logged (rule 3.7).
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

// ---- D's runtime in a process that is not a D program
//
// It is initialised when the library is loaded, by the loading thread: it only knows the libraries of that thread, and
// two plugins cannot initialise it at once, since libraries are loaded one after the other. Threads of the host are
// attached when they first call in, and detached when they end: so the collector stops them and scans their stacks and
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

/// The collector stops threads by signal. druntime's default signals, USR1 and USR2, belong to the user here.
private enum firstCollectorSignal = 10;

private int collectorSignal(int which) nothrow @nogc
{
    import core.sys.posix.signal : SIGRTMIN;

    return SIGRTMIN + firstCollectorSignal + which;
}

/// Loading has no effect that another task could see: no thread, no file, and handlers only for two unused signals.
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
        config.parallel = 0; // otherwise the collector starts threads
        thread_setGCSignals(collectorSignal(0), collectorSignal(1));
    }
    initialised = rt_init() != 0 && pthread_key_create(&leaving, &leaveRuntime) == 0;
    if (initialised)
        GC.free(GC.malloc(1)); // creates the collector; before that, adding ranges is not thread-safe
    if (initialised && !there) // rt_init has attached this thread
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

private bool entered; // thread-local, like the next two
private bool attachedHere; // by this plugin and not by another one in D
private void* threadMemory; // of the Thread object for this thread

/// Attaches this thread to the runtime, once. Returns what is wrong, if anything.
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
    // The library is already loaded. This creates the thread's thread-local variables, and registers them with the
    // collector: druntime keeps exceptions in flight in one. It extends a list, which no collection may see half done.
    auto thread = Thread.getThis(); // not null if another plugin has attached this thread
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

/// thread_attachThis allocates the Thread with the collector, which may free it before it is attached, since this stack
/// is not scanned yet. So it gets memory that is scanned from the start.
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

    // A thread that blocks the signals would never stop, and the collector would wait for ever.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, collectorSignal(0));
    sigaddset(&signals, collectorSignal(1));
    pthread_sigmask(SIG_UNBLOCK, &signals, null);
    __traits(getMember, core.thread.osthread, "attachThread")(thread); // as thread_attachThis does
}

/// Called at the thread's end. The change of the list of libraries is hidden from collections, as above.
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
