/* taskhost_runtime.c: the plugin's entry, its factories, and the calls from the host's threads into OCaml.

   The first call of the entry starts the runtime, which initialises the modules, which register the tasks. From then on
   OCaml's lock is free, and each call of the host takes it. The first call on a thread registers the thread with OCaml,
   and the end of the thread unregisters it. The functions in OCaml catch all exceptions (rule 3.6). */
#define CAML_NAME_SPACE
#include <caml/alloc.h>
#include <caml/callback.h>
#include <caml/fail.h>
#include <caml/memory.h>
#include <caml/mlvalues.h>
#include <caml/printexc.h>
#include <caml/threads.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <taskhost/plugin.h>

/* One execution, in the host's memory, which does not move, so the field can be registered as a root of the GC. */
typedef struct execution {
  value closure; /* a Taskhost.execution */
} execution;

#define MAX_FACTORIES 16

static taskhost_factory factories[MAX_FACTORIES];
static int factory_count;
static int is_registering;

static char broken_text[512]; /* why there are no tasks */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static char starter, registered; /* the values of thread_key */

static const char unknown_thread[] = "no memory to make this thread known to OCaml";

static const value* start_function;
static const value* call_function;
static const value* finish_function;
static const value* drop_function;
static const value* check_function;

static void at_thread_end(void* what) {
  if (what == &registered) caml_c_thread_unregister();
}

/* OCaml's tick thread is created here, with the first thread, and should handle none of the process's signals. */
static int make_known(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const int done = caml_c_thread_register();
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return done && pthread_setspecific(thread_key, &registered) == 0;
}

static int enter(void) {
  if (pthread_getspecific(thread_key) == NULL && !make_known()) return 0;
  caml_acquire_runtime_system();
  return 1;
}

static void leave(void) { caml_release_runtime_system(); }

/* The status that a function of taskhost.ml returned. These functions can raise only when memory runs out. */
static int32_t outcome_of(value result, const taskhost_exec* exec) {
  if (!Is_exception_result(result)) return Int_val(result);
  taskhost_fail(exec, "an exception came out of Taskhost");
  return TASKHOST_PANIC;
}

static int32_t start(int factory, execution* self, const taskhost_exec* exec) {
  int32_t outcome = TASKHOST_OK;
  if (!enter()) return taskhost_fail(exec, unknown_thread);
  value started = caml_callback2_exn(*start_function, Val_int(factory), (value)exec + 1);
  if (Is_exception_result(started)) {
    outcome = outcome_of(started, exec);
  } else if (Tag_val(started) == 0) { /* Ended code */
    outcome = Int_val(Field(started, 0));
  } else { /* Started execution */
    self->closure = Field(started, 0);
    caml_register_generational_global_root(&self->closure);
  }
  leave();
  return outcome;
}

static int32_t call(void* state, const taskhost_exec* exec) {
  execution* self = state;
  if (!enter()) return taskhost_fail(exec, unknown_thread);
  const int32_t outcome = outcome_of(caml_callback_exn(*call_function, self->closure), exec);
  leave();
  return outcome;
}

static int32_t finish(void* state, const taskhost_exec* exec) {
  execution* self = state;
  int32_t outcome = TASKHOST_OK;
  if (!enter()) {
    taskhost_log(exec, TASKHOST_LOG_ERROR, unknown_thread);
    return outcome;
  }
  const value result = caml_callback_exn(*finish_function, self->closure);
  if (!Is_exception_result(result)) outcome = Int_val(result);
  leave();
  return outcome;
}

static int32_t check(int factory, const taskhost_exec* exec) {
  if (!enter()) return taskhost_fail(exec, unknown_thread);
  const int32_t outcome = outcome_of(caml_callback2_exn(*check_function, Val_int(factory), (value)exec + 1), exec);
  leave();
  return outcome;
}

static void drop(void* state, const taskhost_exec* exec) {
  execution* self = state;
  if (!enter()) {
    taskhost_log(exec, TASKHOST_LOG_ERROR, unknown_thread);
    return;
  }
  caml_callback_exn(*drop_function, self->closure);
  caml_remove_generational_global_root(&self->closure);
  leave();
}

/* Work that Taskhost.offload gives to a thread of the host's: a function in OCaml that keeps its result and lets no
   exception out. */
typedef struct offloaded {
  value function;
  int has_run;
} offloaded;

static void release(offloaded* work) {
  caml_remove_generational_global_root(&work->function);
  free(work);
}

static void run_offloaded(void* argument) {
  offloaded* work = argument;
  if (!enter()) return;
  caml_callback_exn(work->function, Val_unit);
  work->has_run = 1;
  leave();
}

static void discard_offloaded(void* argument) {
  if (!enter()) return; /* its memory is lost, as the thread's would be */
  release(argument);
  leave();
}

value taskhost_ml_offload(value exec, value function) {
  CAMLparam1(function);
  const taskhost_exec* of = (const taskhost_exec*)(exec - 1);
  offloaded* work = malloc(sizeof *work);
  if (work == NULL) CAMLreturn(Val_int(TASKHOST_REFUSED_MEMORY));
  work->function = function;
  work->has_run = 0;
  caml_register_generational_global_root(&work->function);
  const taskhost_work offer = {.struct_size = sizeof offer,
                               .tag = (uintptr_t)work,
                               .argument = work,
                               .run = run_offloaded,
                               .discard = discard_offloaded};
  const int32_t result = of->services->offload(of, &offer);
  if (result != TASKHOST_OK) release(work);
  CAMLreturn(Val_int(result));
}

/* An array with a tag and bits for each that is ready. */
value taskhost_ml_take_ready(value exec) {
  CAMLparam0();
  CAMLlocal1(found);
  const taskhost_exec* of = (const taskhost_exec*)(exec - 1);
  taskhost_ready list[64];
  const size_t count = of->services->take_ready(of, list, sizeof list / sizeof list[0]);
  found = count == 0 ? Atom(0) : caml_alloc(2 * count, 0);
  for (size_t i = 0; i < count; ++i) {
    Store_field(found, 2 * i, Val_long(list[i].what == TASKHOST_DONE ? 0 : (intnat)list[i].tag));
    Store_field(found, 2 * i + 1, Val_int(list[i].what));
  }
  for (size_t i = 0; i < count; ++i) {
    if (list[i].what != TASKHOST_DONE) continue;
    offloaded* work = (void*)(uintptr_t)list[i].tag;
    if (!work->has_run) caml_callback_exn(work->function, Val_unit); /* its thread could not be made known: then here */
    release(work);
  }
  CAMLreturn(found);
}

/* start and check do not get to know their factory, so each factory has functions of its own. */
#define START(n)                                                                                     \
  static int32_t start_##n(void* state, const taskhost_exec* exec) { return start(n, state, exec); } \
  static int32_t check_##n(const taskhost_exec* exec) { return check(n, exec); }
START(0)
START(1)
START(2)
START(3)
START(4)
START(5)
START(6)
START(7)
START(8)
START(9)
START(10)
START(11)
START(12)
START(13)
START(14)
START(15)

static int32_t (*const start_functions[MAX_FACTORIES])(void*, const taskhost_exec*) = {
    start_0, start_1, start_2,  start_3,  start_4,  start_5,  start_6,  start_7,
    start_8, start_9, start_10, start_11, start_12, start_13, start_14, start_15};

static int32_t (*const check_functions[MAX_FACTORIES])(const taskhost_exec*) = {
    check_0, check_1, check_2,  check_3,  check_4,  check_5,  check_6,  check_7,
    check_8, check_9, check_10, check_11, check_12, check_13, check_14, check_15};

static char* text_or_null(value text) {
  return caml_string_length(text) == 0 ? NULL : caml_stat_strdup(String_val(text));
}

/* Called by OCaml while the modules are initialised. Bits: 1, run instead of poll; 2, finish; 4, check. */
value taskhost_ml_add_factory(value name, value version, value description, value bits) {
  if (!is_registering) caml_invalid_argument("Taskhost: tasks are registered while the modules are initialised");
  if (factory_count == MAX_FACTORIES) caml_invalid_argument("Taskhost: a plugin has at most 16 tasks");
  taskhost_factory* factory = &factories[factory_count];
  factory->struct_size = sizeof *factory;
  factory->name = caml_stat_strdup(String_val(name));
  factory->version = text_or_null(version);
  factory->description = text_or_null(description);
  factory->state_size = sizeof(execution);
  factory->start = start_functions[factory_count];
  if ((Int_val(bits) & 1) != 0) {
    factory->run = call;
  } else {
    factory->poll = call;
  }
  if ((Int_val(bits) & 2) != 0) factory->finish = finish;
  factory->drop = drop;
  if ((Int_val(bits) & 4) != 0) factory->check = check_functions[factory_count];
  if (factory_count > 0) factories[factory_count - 1].next = factory;
  ++factory_count;
  return Val_unit;
}

/* A plugin whose modules could not be initialised still has a factory, whose start fails with the reason (rule 1.2). */
static int32_t broken_start(void* state, const taskhost_exec* exec) {
  (void)state;
  return taskhost_fail(exec, broken_text);
}

static int32_t broken_poll(void* state, const taskhost_exec* exec) {
  (void)state;
  (void)exec;
  return TASKHOST_ERROR;
}

static const taskhost_factory broken = {
    .struct_size = sizeof broken,
    .name = "ocaml",
    .description = "its modules registered no task; its start says why",
    .start = broken_start,
    .poll = broken_poll,
};

/* The runtime takes SIGSEGV, with an alternate stack, to turn stack overflows into exceptions, and the thread library
   takes SIGVTALRM, which nobody sends. Both belong to the process (rule 5.1), so the previous handlers are restored. */
static value start_ocaml(void) {
  struct sigaction before[NSIG];
  int is_known[NSIG];
  stack_t stack;
  for (int number = 1; number < NSIG; ++number) is_known[number] = sigaction(number, NULL, &before[number]) == 0;
  const int has_stack = sigaltstack(NULL, &stack) == 0;
  char* arguments[] = {(char*)"taskhost", NULL};
  const value result = caml_startup_exn(arguments);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction now;
    if (is_known[number] && sigaction(number, NULL, &now) == 0 && now.sa_handler != before[number].sa_handler) {
      sigaction(number, &before[number], NULL);
    }
  }
  if (has_stack) sigaltstack(&stack, NULL);
  return result;
}

/* Linked instead of OCaml's own function (--wrap), which gives each new OCaml thread an alternate stack for SIGSEGV.
   That is useless without the handler, and OCaml 4.13 leaks it when the thread ends. */
void __wrap_caml_setup_stack_overflow_detection(void);
void __wrap_caml_setup_stack_overflow_detection(void) {}

static void start_runtime(void) {
  /* Created before OCaml's own keys, since values are cleared in the order of the keys when a thread ends, and
     at_thread_end needs OCaml's. */
  if (pthread_key_create(&thread_key, at_thread_end) != 0) {
    snprintf(broken_text, sizeof broken_text, "no key for thread-specific data is left");
    return;
  }
  is_registering = 1;
  const value result = start_ocaml();
  is_registering = 0;
  pthread_setspecific(thread_key, &starter);
  if (Is_exception_result(result)) {
    char* text = caml_format_exception(Extract_exception(result));
    snprintf(broken_text, sizeof broken_text, "its modules could not be initialised: %s", text == NULL ? "" : text);
    caml_stat_free(text);
    factory_count = 0;
  } else if (factory_count == 0) {
    snprintf(broken_text, sizeof broken_text, "it registers no task with Taskhost.polled or Taskhost.blocking");
  }
  start_function = caml_named_value("taskhost.start");
  call_function = caml_named_value("taskhost.call");
  finish_function = caml_named_value("taskhost.finish");
  drop_function = caml_named_value("taskhost.drop");
  check_function = caml_named_value("taskhost.check");
  caml_release_runtime_system();
}

TASKHOST_EXPORT const taskhost_factory* taskhost_plugin_v1(void) {
  pthread_once(&once, start_runtime);
  return factory_count == 0 ? &broken : &factories[0];
}
