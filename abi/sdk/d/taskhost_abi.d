/**
 * taskhost_abi.d: the interface between a task plugin and its host, with the names of the C headers, which document
 * each function: taskhost/plugin.h, taskhost/ext/config.h, taskhost/ext/signals.h. taskhost.d, beside this file, adds D
 * classes; without classes, as in betterC, you can use this file alone.
 */
module taskhost_abi;

// ---- taskhost/plugin.h

enum TASKHOST_ABI_MAJOR = 1;
enum TASKHOST_ABI_MINOR = 0;
enum TASKHOST_ENTRY_NAME = "taskhost_plugin_v1";

enum : int
{
    TASKHOST_OK = 0,
    TASKHOST_PENDING = 1,
    TASKHOST_ERROR = 2,
    TASKHOST_PANIC = 3,
    TASKHOST_AGAIN = 4,
}

enum : int
{
    TASKHOST_REFUSED_CALL = 16,
    TASKHOST_REFUSED_ARGUMENT = 17,
    TASKHOST_REFUSED_CLOSED = 18,
    TASKHOST_REFUSED_ALWAYS = 19,
    TASKHOST_REFUSED_LOOP = 20,
    TASKHOST_REFUSED_DESCRIPTORS = 21,
    TASKHOST_REFUSED_MEMORY = 22,
    TASKHOST_REFUSED_THREADS = 23,
    TASKHOST_REFUSED_WATCHERS = 24,
}

enum : int
{
    TASKHOST_LOG_TRACE = 0,
    TASKHOST_LOG_DEBUG = 1,
    TASKHOST_LOG_INFO = 2,
    TASKHOST_LOG_WARNING = 3,
    TASKHOST_LOG_ERROR = 4,
}

enum : uint
{
    TASKHOST_READABLE = 1,
    TASKHOST_WRITABLE = 2,
    TASKHOST_BROKEN = 4,
    TASKHOST_DONE = 8,
}

enum : uint
{
    TASKHOST_WAIT_STOP = 1,
    TASKHOST_WAIT_WAKE = 2,
    TASKHOST_WAIT_TIME = 4,
}

enum : ulong
{
    TASKHOST_MICROSECOND = 1_000,
    TASKHOST_MILLISECOND = 1_000_000,
    TASKHOST_SECOND = 1_000_000_000,
    TASKHOST_NEVER = ulong.max,
}

alias taskhost_waker = ulong;
alias taskhost_fd = long;

struct taskhost_ready
{
    ulong tag;
    uint what;
    uint reserved;
}

struct taskhost_work
{
extern (C) nothrow:
    uint struct_size = taskhost_work.sizeof;
    uint reserved;
    ulong tag;
    void* argument;
    void function(void* argument) run;
    void function(void* argument) discard;
}

struct taskhost_exec
{
    const(taskhost_services)* services;
    // Further fields are private to the host.
}

struct taskhost_services
{
extern (C) nothrow @nogc:
    uint struct_size;
    uint abi_minor;
    void function(const(taskhost_exec)* exec, int level, const(char)* text, size_t size) log;
    int function(const(taskhost_exec)* exec, const(char)* text, size_t size) fail;
    const(char)* function(const(taskhost_exec)* exec, size_t* size) config;
    const(char)* function(const(taskhost_exec)* exec) task_name;
    ulong function(const(taskhost_exec)* exec) execution_number;
    int function(const(taskhost_exec)* exec) stop_requested;
    ulong function() now;
    taskhost_waker function(const(taskhost_exec)* exec) waker;
    void function(taskhost_waker waker) wake;
    void function(const(taskhost_exec)* exec, ulong time) wake_at;
    void function(const(taskhost_exec)* exec, ulong delay) wake_after;
    int function(const(taskhost_exec)* exec, taskhost_fd fd, uint interests, ulong tag) watch;
    size_t function(const(taskhost_exec)* exec, taskhost_ready* list, size_t capacity) take_ready;
    int function(const(taskhost_exec)* exec, const(taskhost_work)* work) offload;
    uint function(const(taskhost_exec)* exec, ulong time) wait;
    taskhost_fd function(const(taskhost_exec)* exec) wait_fd;
    void function(const(taskhost_exec)* exec) ready;
    void function(const(taskhost_exec)* exec) heartbeat;
    void function(const(taskhost_exec)* exec, const(char)* text, size_t size) status;
    const(void)* function(const(taskhost_exec)* exec, const(char)* id, uint revision) extension;
}

struct taskhost_factory
{
extern (C) nothrow:
    uint struct_size = taskhost_factory.sizeof;
    uint required_minor;
    const(char)* name;
    const(char)* version_;
    const(char)* description;
    size_t state_size;
    size_t state_align;
    uint flags;
    uint reserved;
    int function(void* state, const(taskhost_exec)* exec) start;
    int function(void* state, const(taskhost_exec)* exec) poll;
    int function(void* state, const(taskhost_exec)* exec) run;
    int function(void* state, const(taskhost_exec)* exec) finish;
    void function(void* state, const(taskhost_exec)* exec) drop;
    int function(const(taskhost_exec)* exec) check;
    const(taskhost_factory)* next;
}

// ---- taskhost/ext/config.h and taskhost/ext/signals.h

enum TASKHOST_EXTENSION_CONFIG = "taskhost.config";
enum TASKHOST_CONFIG_REVISION = 1;
enum TASKHOST_EXTENSION_SIGNALS = "taskhost.signals";
enum TASKHOST_SIGNALS_REVISION = 1;

enum : uint
{
    TASKHOST_SIGNAL_INTERRUPT = 1,
    TASKHOST_SIGNAL_TERMINATE = 2,
    TASKHOST_SIGNAL_HANGUP = 4,
    TASKHOST_SIGNAL_USER1 = 8,
    TASKHOST_SIGNAL_USER2 = 16,
}

struct taskhost_config_reader
{
extern (C) nothrow @nogc:
    uint struct_size;
    uint revision;
    int function(const(taskhost_exec)* exec, const(char)* keys) keys;
    int function(const(taskhost_exec)* exec, const(char)* pointer) require;
    int function(const(taskhost_exec)* exec, const(char)* pointer, const(char)** value, size_t* size) text;
    int function(const(taskhost_exec)* exec, const(char)* pointer, long least, long most, long* value) integer;
    int function(const(taskhost_exec)* exec, const(char)* pointer, double* value) number;
    int function(const(taskhost_exec)* exec, const(char)* pointer, int* value) boolean;
    int function(const(taskhost_exec)* exec, const(char)* pointer, ulong* value) duration;
    int function(const(taskhost_exec)* exec, const(char)* pointer, size_t* value) count;
    int function(const(char)* text, size_t size, ulong* value) parse_duration;
}

struct taskhost_signals
{
extern (C) nothrow @nogc:
    uint struct_size;
    uint revision;
    int function(const(taskhost_exec)* exec, uint signals) subscribe;
    uint function(const(taskhost_exec)* exec) take;
}

static if (size_t.sizeof == 8)
{
    static assert(taskhost_exec.sizeof == 8);
    static assert(taskhost_services.log.offsetof == 8 && taskhost_services.now.offsetof == 56);
    static assert(taskhost_services.watch.offsetof == 96 && taskhost_services.wait.offsetof == 120);
    static assert(taskhost_services.extension.offsetof == 160 && taskhost_services.sizeof == 168);
    static assert(taskhost_ready.what.offsetof == 8 && taskhost_ready.sizeof == 16);
    static assert(taskhost_work.tag.offsetof == 8 && taskhost_work.run.offsetof == 24);
    static assert(taskhost_work.discard.offsetof == 32 && taskhost_work.sizeof == 40);
    static assert(taskhost_factory.name.offsetof == 8 && taskhost_factory.state_size.offsetof == 32);
    static assert(taskhost_factory.flags.offsetof == 48 && taskhost_factory.start.offsetof == 56);
    static assert(taskhost_factory.finish.offsetof == 80 && taskhost_factory.check.offsetof == 96);
    static assert(taskhost_factory.next.offsetof == 104 && taskhost_factory.sizeof == 112);
    static assert(taskhost_config_reader.keys.offsetof == 8 && taskhost_config_reader.count.offsetof == 64);
    static assert(taskhost_config_reader.sizeof == 80);
    static assert(taskhost_signals.take.offsetof == 16 && taskhost_signals.sizeof == 24);
}
