/* taskhost_stubs.c: the host's services for taskhost.ml. Called by OCaml, with its lock held. Functions that neither
   allocate nor raise are declared [@@noalloc] there; an exec is passed as a pointer with its lowest bit set. */
#define CAML_NAME_SPACE
#include <caml/alloc.h>
#include <caml/memory.h>
#include <caml/mlvalues.h>
#include <caml/threads.h>
#include <taskhost/ext/config.h>
#include <taskhost/ext/signals.h>
#include <taskhost/plugin.h>

#if UINTPTR_MAX < UINT64_MAX
#error "times in nanoseconds need OCaml's integers of 63 bits"
#endif

static const taskhost_exec* exec_of(value exec) { return (const taskhost_exec*)(exec - 1); }
static const taskhost_services* services_of(value exec) { return exec_of(exec)->services; }

/* A time or duration: negative values count as 0, max_int as never. */
static uint64_t time_of(value time) {
  const intnat number = Long_val(time);
  if (number < 0) return 0;
  return number == Max_long ? TASKHOST_NEVER : (uint64_t)number;
}

static value of_time(uint64_t time) { return Val_long(time < (uint64_t)Max_long ? (intnat)time : Max_long); }

value taskhost_ml_log(value exec, value level, value text) {
  services_of(exec)->log(exec_of(exec), Int_val(level), String_val(text), caml_string_length(text));
  return Val_unit;
}

value taskhost_ml_fail(value exec, value text) {
  services_of(exec)->fail(exec_of(exec), String_val(text), caml_string_length(text));
  return Val_unit;
}

value taskhost_ml_config(value exec) {
  size_t size = 0;
  const char* text = services_of(exec)->config(exec_of(exec), &size);
  return caml_alloc_initialized_string(size, text);
}

value taskhost_ml_task_name(value exec) { return caml_copy_string(services_of(exec)->task_name(exec_of(exec))); }

value taskhost_ml_execution_number(value exec) {
  return Val_long((intnat)services_of(exec)->execution_number(exec_of(exec)));
}

value taskhost_ml_stop_requested(value exec) { return Val_bool(services_of(exec)->stop_requested(exec_of(exec)) != 0); }

value taskhost_ml_now(value exec) { return of_time(services_of(exec)->now()); }

value taskhost_ml_ready(value exec) {
  services_of(exec)->ready(exec_of(exec));
  return Val_unit;
}

value taskhost_ml_heartbeat(value exec) {
  services_of(exec)->heartbeat(exec_of(exec));
  return Val_unit;
}

value taskhost_ml_wake_at(value exec, value time) {
  services_of(exec)->wake_at(exec_of(exec), time_of(time));
  return Val_unit;
}

value taskhost_ml_wake_after(value exec, value delay) {
  services_of(exec)->wake_after(exec_of(exec), time_of(delay));
  return Val_unit;
}

value taskhost_ml_status(value exec, value text) {
  services_of(exec)->status(exec_of(exec), String_val(text), caml_string_length(text));
  return Val_unit;
}

/* The tag is the descriptor. */
value taskhost_ml_watch(value exec, value fd, value interests) {
  return Val_int(
      services_of(exec)->watch(exec_of(exec), Int_val(fd), (uint32_t)Int_val(interests), (uint64_t)Int_val(fd)));
}

value taskhost_ml_wait_fd(value exec) { return Val_long((intnat)services_of(exec)->wait_fd(exec_of(exec))); }

value taskhost_ml_services(value exec) { return (value)services_of(exec) + 1; }

value taskhost_ml_waker(value exec) { return caml_copy_int64((int64_t)services_of(exec)->waker(exec_of(exec))); }

value taskhost_ml_wake(value services, value waker) {
  ((const taskhost_services*)(services - 1))->wake((taskhost_waker)Int64_val(waker));
  return Val_unit;
}

/* The only service that blocks; it releases the lock, so the other tasks of the plugin go on. */
value taskhost_ml_wait(value exec, value time) {
  const taskhost_exec* of = exec_of(exec);
  const uint64_t until = time_of(time);
  caml_release_runtime_system();
  const uint32_t bits = of->services->wait(of, until);
  caml_acquire_runtime_system();
  return Val_int(bits);
}

/* The config. The results are answers of Taskhost.Config: constants for errors, otherwise a block with the value. */

#define WRONG Val_int(0)
#define NO_READER Val_int(1)

static const taskhost_config_reader* reader_of(value exec) {
  return services_of(exec)->extension(exec_of(exec), TASKHOST_EXTENSION_CONFIG, TASKHOST_CONFIG_REVISION);
}

static value answer(int32_t result, value given) {
  CAMLparam1(given);
  CAMLlocal1(block);
  if (result != TASKHOST_OK) CAMLreturn(WRONG);
  block = caml_alloc_small(1, 0);
  Field(block, 0) = given;
  CAMLreturn(block);
}

value taskhost_ml_config_keys(value exec, value keys) {
  const taskhost_config_reader* reader = reader_of(exec);
  if (reader == NULL) return NO_READER;
  return answer(reader->keys(exec_of(exec), String_val(keys)), Val_unit);
}

value taskhost_ml_config_require(value exec, value pointer) {
  const taskhost_config_reader* reader = reader_of(exec);
  if (reader == NULL) return NO_READER;
  return answer(reader->require(exec_of(exec), String_val(pointer)), Val_unit);
}

value taskhost_ml_config_text(value exec, value pointer, value fallback) {
  const taskhost_config_reader* reader = reader_of(exec);
  const char* text = NULL;
  size_t size = 0;
  if (reader == NULL) return NO_READER;
  const int32_t result = reader->text(exec_of(exec), String_val(pointer), &text, &size);
  return answer(result, text == NULL ? fallback : caml_alloc_initialized_string(size, text));
}

/* min_int and max_int mean no limit. If the number then exceeds OCaml's range, the host is asked again, with OCaml's
   limits, so that it reports the error. */
value taskhost_ml_config_integer(value exec, value pointer, value least, value most, value fallback) {
  const taskhost_config_reader* reader = reader_of(exec);
  const int64_t from = Long_val(least) == Min_long ? INT64_MIN : Long_val(least);
  const int64_t to = Long_val(most) == Max_long ? INT64_MAX : Long_val(most);
  int64_t number = Long_val(fallback);
  if (reader == NULL) return NO_READER;
  int32_t result = reader->integer(exec_of(exec), String_val(pointer), from, to, &number);
  if (number < Min_long || number > Max_long) {
    result = reader->integer(exec_of(exec), String_val(pointer), Long_val(least), Long_val(most), &number);
  }
  return answer(result, Val_long(number));
}

value taskhost_ml_config_number(value exec, value pointer, value fallback) {
  const taskhost_config_reader* reader = reader_of(exec);
  double number = Double_val(fallback);
  if (reader == NULL) return NO_READER;
  const int32_t result = reader->number(exec_of(exec), String_val(pointer), &number);
  return answer(result, caml_copy_double(number));
}

value taskhost_ml_config_boolean(value exec, value pointer, value fallback) {
  const taskhost_config_reader* reader = reader_of(exec);
  int32_t truth = Bool_val(fallback);
  if (reader == NULL) return NO_READER;
  const int32_t result = reader->boolean(exec_of(exec), String_val(pointer), &truth);
  return answer(result, Val_bool(truth != 0));
}

value taskhost_ml_config_duration(value exec, value pointer, value fallback) {
  const taskhost_config_reader* reader = reader_of(exec);
  uint64_t duration = time_of(fallback);
  if (reader == NULL) return NO_READER;
  const int32_t result = reader->duration(exec_of(exec), String_val(pointer), &duration);
  return answer(result, of_time(duration));
}

value taskhost_ml_parse_duration(value exec, value text) {
  const taskhost_config_reader* reader = reader_of(exec);
  uint64_t duration = 0;
  if (reader == NULL) return NO_READER;
  const int32_t result = reader->parse_duration(String_val(text), caml_string_length(text), &duration);
  return answer(result, of_time(duration));
}

value taskhost_ml_config_count(value exec, value pointer) {
  const taskhost_config_reader* reader = reader_of(exec);
  size_t count = 0;
  if (reader == NULL) return NO_READER;
  const int32_t result = reader->count(exec_of(exec), String_val(pointer), &count);
  return answer(result, Val_long((intnat)count));
}

/* The signals. */

static const taskhost_signals* signals_of(value exec) {
  return services_of(exec)->extension(exec_of(exec), TASKHOST_EXTENSION_SIGNALS, TASKHOST_SIGNALS_REVISION);
}

value taskhost_ml_signals_subscribe(value exec, value bits) {
  const taskhost_signals* signals = signals_of(exec);
  return Val_bool(signals != NULL && signals->subscribe(exec_of(exec), (uint32_t)Int_val(bits)) == TASKHOST_OK);
}

value taskhost_ml_signals_take(value exec) {
  const taskhost_signals* signals = signals_of(exec);
  return Val_int(signals == NULL ? 0 : signals->take(exec_of(exec)));
}
