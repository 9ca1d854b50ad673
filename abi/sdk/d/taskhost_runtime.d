/**
 * taskhost_runtime.d: D's runtime in a process that is not a D program. Used by taskhost.d.
 *
 * It is initialised when the library is loaded, by the loading thread: it only knows the libraries of that thread, and
 * two plugins cannot initialise it at once, since libraries are loaded one after the other. Threads of the host are
 * attached when they first call in, and detached when they end: so the collector stops them and scans their stacks and
 * thread-local variables, and does not wait for those that are gone.
 */
module taskhost_runtime;

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
string enterRuntime()
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
