#define PY_SSIZE_T_CLEAN
#include <Python.h>
// Python.h must come first.
#include <dlfcn.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "interpreter.hpp"
#include "plugin_support/path.hpp"
#include "runtime.hpp"

namespace python_plugin {

namespace {

namespace sdk = taskhost::sdk;

constexpr const char* handle_name = "taskhost.execution";

struct Decref {
  void operator()(PyObject* object) const { Py_DECREF(object); }
};
using Reference = std::unique_ptr<PyObject, Decref>;

struct Lock {
  Lock() : state(PyGILState_Ensure()) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { PyGILState_Release(state); }
  PyGILState_STATE state;
};

// Objects from runtime.py. Never released, since the interpreter stays until the process ends.
struct Runtime {
  PyObject* examine = nullptr;
  PyObject* prepare = nullptr;
  PyObject* conclude = nullptr;
  PyObject* stopped = nullptr;  // the class Stopped
};
Runtime& runtime() {
  static Runtime functions;
  return functions;
}

using Handle = std::shared_ptr<Execution>;

void free_handle(PyObject* capsule) { delete static_cast<Handle*>(PyCapsule_GetPointer(capsule, handle_name)); }

// The execution, or nullptr with an exception set.
Execution* execution_of(PyObject* capsule) {
  auto* handle = static_cast<Handle*>(PyCapsule_GetPointer(capsule, handle_name));
  if (handle == nullptr) return nullptr;
  if (!(*handle)->over) return handle->get();
  PyErr_SetString(PyExc_RuntimeError, "the task is over");
  return nullptr;
}

PyObject* log(PyObject*, PyObject* arguments) {
  PyObject* capsule = nullptr;
  int level = 0;
  const char* text = nullptr;
  Py_ssize_t size = 0;
  if (PyArg_ParseTuple(arguments, "Oiy#", &capsule, &level, &text, &size) == 0) return nullptr;
  const Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  self->context.log(level, {text, static_cast<std::size_t>(size)});
  Py_RETURN_NONE;
}

PyObject* ready(PyObject*, PyObject* capsule) {
  const Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  self->context.ready();
  Py_RETURN_NONE;
}

PyObject* heartbeat(PyObject*, PyObject* capsule) {
  const Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  self->context.heartbeat();
  Py_RETURN_NONE;
}

PyObject* status(PyObject*, PyObject* arguments) {
  PyObject* capsule = nullptr;
  const char* text = nullptr;
  Py_ssize_t size = 0;
  if (PyArg_ParseTuple(arguments, "Os#", &capsule, &text, &size) == 0) return nullptr;
  const Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  self->context.status({text, static_cast<std::size_t>(size)});
  Py_RETURN_NONE;
}

PyObject* stop_requested(PyObject*, PyObject* capsule) {
  Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  self->asked_about_stop = true;
  return PyBool_FromLong(self->context.stop_requested() ? 1 : 0);
}

PyObject* now(PyObject*, PyObject* capsule) {
  const Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  return PyFloat_FromDouble(static_cast<double>(self->context.services().now()) / 1e9);
}

// wait(handle, seconds, for_stop): True if the stop came. With for_stop, the script asks about the stop. Without, a
// script that has asked before sleeps on; in any other, the caller raises Stopped if the result is True.
PyObject* wait(PyObject*, PyObject* arguments) {
  PyObject* capsule = nullptr;
  double seconds = 0;
  int for_stop = 0;
  if (PyArg_ParseTuple(arguments, "Odp", &capsule, &seconds, &for_stop) == 0) return nullptr;
  Execution* self = execution_of(capsule);
  if (self == nullptr) return nullptr;
  if (for_stop != 0) self->asked_about_stop = true;
  const Handle keep = *static_cast<Handle*>(PyCapsule_GetPointer(capsule, handle_name));
  const bool heeds_stop = for_stop != 0 || !self->asked_about_stop;
  bool stop = false;
  PyThreadState* state = PyEval_SaveThread();
  {
    std::unique_lock lock(self->mutex);
    const auto stops = [&] { return heeds_stop && self->stop; };
    if (seconds < 1e9) {
      const auto delay = std::chrono::ceil<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
      stop = self->stopping.wait_until(lock, std::chrono::steady_clock::now() + delay, stops);
    } else {
      self->stopping.wait(lock, stops);
      stop = true;
    }
  }
  PyEval_RestoreThread(state);
  if (stop && for_stop == 0 && PyThread_get_thread_ident() == self->thread) {
    self->told_to_stop = true;
    PyThreadState_SetAsyncExc(self->thread, nullptr);  // the caller raises Stopped: once is enough
  }
  return PyBool_FromLong(stop ? 1 : 0);
}

PyMethodDef functions[] = {{"log", log, METH_VARARGS, nullptr},
                           {"ready", ready, METH_O, nullptr},
                           {"heartbeat", heartbeat, METH_O, nullptr},
                           {"status", status, METH_VARARGS, nullptr},
                           {"stop_requested", stop_requested, METH_O, nullptr},
                           {"now", now, METH_O, nullptr},
                           {"wait", wait, METH_VARARGS, nullptr},
                           {nullptr, nullptr, 0, nullptr}};
PyModuleDef host_module = {
    PyModuleDef_HEAD_INIT, "_taskhost", nullptr, -1, functions, nullptr, nullptr, nullptr, nullptr};

std::string text_of(PyObject* object) {
  const Reference text(object == nullptr ? nullptr : PyObject_Str(object));
  Py_ssize_t size = 0;
  const char* bytes = text == nullptr ? nullptr : PyUnicode_AsUTF8AndSize(text.get(), &size);
  if (bytes != nullptr) return {bytes, static_cast<std::size_t>(size)};
  PyErr_Clear();
  return "an exception whose text can't be had";
}

// Takes the pending exception.
Reference fetch_exception() {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr && value != nullptr) PyException_SetTraceback(value, trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return Reference(value);
}

// Extension modules look for Python's functions among the process's own symbols, since the python program is linked
// with them. The host keeps a plugin's libraries private to that plugin.
void publish_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&Py_GetVersion), &info) == 0 || info.dli_fname == nullptr) return;
  ::dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_NOW | RTLD_GLOBAL);  // if it fails, C modules can't be imported
}

// Isolated: no environment variables, nothing from the user's home, no signal handlers, and the locale stays. UTF-8,
// since the locale "C" would mean ASCII.
void initialise() {
  PyPreConfig before;
  PyPreConfig_InitIsolatedConfig(&before);
  before.utf8_mode = 1;
  PyStatus status = Py_PreInitialize(&before);
  if (PyStatus_Exception(status) == 0) {
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 0;
    // Without this, it would take the first python3 in PATH for its own program, and use that one's modules.
    status = PyConfig_SetBytesString(&config, &config.program_name, TASKHOST_PYTHON_PROGRAM);
    // The module _signal handles SIGINT if nobody else does, whatever the config says.
    struct sigaction interrupt {};
    ::sigaction(SIGINT, nullptr, &interrupt);
    if (PyStatus_Exception(status) == 0) status = Py_InitializeFromConfig(&config);
    if (PyStatus_Exception(status) == 0) Py_XDECREF(PyImport_ImportModule("_signal"));
    ::sigaction(SIGINT, &interrupt, nullptr);
    PyConfig_Clear(&config);
  }
  if (PyStatus_Exception(status) != 0) {
    throw sdk::Failure(std::string("Python does not start: ") + (status.err_msg == nullptr ? "?" : status.err_msg));
  }
}

void load_runtime(bool ours) {
  const Reference host(PyModule_Create(&host_module));
  const Reference module(PyModule_New("taskhost"));
  if (host != nullptr && module != nullptr) {
    PyObject* globals = PyModule_GetDict(module.get());
    PyDict_SetItemString(globals, "__builtins__", PyEval_GetBuiltins());
    PyDict_SetItemString(globals, "host", host.get());
    PyDict_SetItemString(globals, "ours", ours ? Py_True : Py_False);
    const Reference code(Py_CompileString(runtime_source, "<taskhost>", Py_file_input));
    const Reference done(code == nullptr ? nullptr : PyEval_EvalCode(code.get(), globals, globals));
    if (done != nullptr) {
      const auto take = [&](const char* name) {
        PyObject* object = PyDict_GetItemString(globals, name);
        Py_XINCREF(object);
        return object;
      };
      runtime() = {take("examine"), take("prepare"), take("conclude"), take("Stopped")};
      return;
    }
  }
  throw sdk::Failure("Python does not start: " + text_of(fetch_exception().get()));
}

// A program that contains another version of Python has functions of the same names, and these come first.
void check_version() {
  const std::string needed = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION) + ".";
  const std::string_view there = Py_GetVersion();
  if (there.substr(0, needed.size()) == needed) return;
  throw sdk::Failure("this process has Python " + std::string(there.substr(0, there.find(' '))) +
                     " already, and the plugin needs " + needed + "x");
}

// Runs on a thread of its own, so that Python takes no task's thread for its main thread.
void start_on_this_thread() {
  check_version();
  publish_library();
  if (Py_IsInitialized() != 0) {  // the program that embeds the host has one
    const Lock lock;
    load_runtime(false);
    return;
  }
  initialise();
  std::string problem;
  try {
    load_runtime(true);
  } catch (const sdk::Failure& failure) {
    problem = failure.what();
  }
  PyEval_SaveThread();
  if (!problem.empty()) throw sdk::Failure(problem);
}

Outcome outcome_of(PyObject* result) {
  const char* text = nullptr;
  Py_ssize_t size = 0;
  int kind = 0;
  if (result == nullptr || PyArg_ParseTuple(result, "iy#", &kind, &text, &size) == 0) {
    return {Outcome::Kind::panic, text_of(fetch_exception().get())};
  }
  return {static_cast<Outcome::Kind>(kind), std::string(text, static_cast<std::size_t>(size))};
}

// The text as bytes, which may say how they are encoded; or as a str, if it comes from the config.
Reference text_object(const Source& source) {
  const auto size = static_cast<Py_ssize_t>(source.text.size());
  if (source.file.empty()) return Reference(PyUnicode_DecodeUTF8(source.text.data(), size, "replace"));
  return Reference(PyBytes_FromStringAndSize(source.text.data(), size));
}

// A path in whatever bytes.
Reference path_object(const std::string& path) { return Reference(PyUnicode_DecodeFSDefault(path.c_str())); }

Verdict examine_locked(const Source& source) {
  const Reference text = text_object(source);
  const Reference file = path_object(source.file);
  const bool whole = text != nullptr && file != nullptr;
  const Reference result(whole ? PyObject_CallFunctionObjArgs(runtime().examine, text.get(), file.get(), nullptr)
                               : nullptr);
  const char* problem = nullptr;
  const char* warnings = nullptr;
  Py_ssize_t problem_size = 0;
  Py_ssize_t warnings_size = 0;
  if (result == nullptr ||
      PyArg_ParseTuple(result.get(), "y#y#", &problem, &problem_size, &warnings, &warnings_size) == 0) {
    return {text_of(fetch_exception().get()), ""};
  }
  return {std::string(problem, static_cast<std::size_t>(problem_size)),
          std::string(warnings, static_cast<std::size_t>(warnings_size))};
}

// Calls the function on a thread of its own, and waits for it. This one may belong to a program that embeds the host,
// and have the interpreter's lock; and its stack may be small.
template <class Function>
void on_another_thread(Function function) {
  const bool has_lock =
      Py_IsInitialized() != 0 && PyGILState_GetThisThreadState() != nullptr && PyGILState_Check() != 0;
  PyThreadState* const state = has_lock ? PyEval_SaveThread() : nullptr;
  std::string problem;
  try {
    std::thread([&] {
      try {
        function();
      } catch (const std::exception& exception) {
        problem = exception.what();
      }
    }).join();
  } catch (const std::system_error& error) {
    problem = std::string("no thread for Python: ") + error.what();
  }
  if (state != nullptr) PyEval_RestoreThread(state);
  if (!problem.empty()) throw sdk::Failure(problem);
}

// prepare returns what the script needs, or raises; conclude turns the result into (kind, text).
Outcome run_locked(const Handle& execution) {
  const sdk::Context context = execution->context;
  const Reference handle(PyCapsule_New(new Handle(execution), handle_name, free_handle));
  const Source source = std::move(execution->source);
  const Reference text = text_object(source);
  const Reference file = path_object(source.file);
  const Reference directory = path_object(plugin_support::manifest_directory(context.exec()));
  const bool whole = text != nullptr && file != nullptr && directory != nullptr;
  const Reference prepared(whole ? PyObject_CallFunction(runtime().prepare, "OssKOOO", handle.get(),
                                                         context.config().data(), context.task_name().data(),
                                                         static_cast<unsigned long long>(context.execution_number()),
                                                         directory.get(), text.get(), file.get())
                                 : nullptr);
  Reference value;
  execution->thread = PyThread_get_thread_ident();
  if (prepared != nullptr && !context.stop_requested()) {
    PyObject* globals = PyTuple_GET_ITEM(prepared.get(), 1);
    value.reset(PyEval_EvalCode(PyTuple_GET_ITEM(prepared.get(), 0), globals, globals));
  } else if (prepared != nullptr) {
    value.reset(Py_NewRef(Py_None));
  }
  execution->told_to_stop = true;
  PyThreadState_SetAsyncExc(execution->thread, nullptr);
  const Reference exception = value == nullptr ? fetch_exception() : Reference(Py_NewRef(Py_None));
  const Reference result(PyObject_CallFunctionObjArgs(runtime().conclude, handle.get(), exception.get(),
                                                      prepared == nullptr ? Py_None : prepared.get(), nullptr));
  Outcome outcome = outcome_of(result.get());
  execution->over = true;
  return outcome;
}

}  // namespace

void start_interpreter() {
  static std::mutex mutex;
  static bool started = false;
  static std::string problem;
  const std::lock_guard lock(mutex);
  if (!started) {
    started = true;
    try {
      on_another_thread(start_on_this_thread);
    } catch (const sdk::Failure& failure) {
      problem = failure.what();
    }
  }
  if (!problem.empty()) throw sdk::Failure(problem);
}

Verdict compile_only(const Source& source) {
  start_interpreter();
  Verdict verdict;
  on_another_thread([&] {
    const Lock lock;
    verdict = examine_locked(source);
  });
  return verdict;
}

Outcome run_script(const std::shared_ptr<Execution>& execution) noexcept {
  const Lock lock;
  return run_locked(execution);
}

void interrupt(Execution& execution) noexcept {
  const Lock lock;
  if (execution.thread == 0 || execution.told_to_stop || execution.asked_about_stop) return;
  execution.told_to_stop = true;
  PyThreadState_SetAsyncExc(execution.thread, runtime().stopped);
}

}  // namespace python_plugin
