"""What a script in Python sees of its host. Run once in the interpreter, with two globals: `host`, the functions of
interpreter.cpp, and `ours`, which is true if nobody else uses this interpreter."""

import io
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
import types

LEVELS = {"trace": 0, "debug": 1, "info": 2, "warning": 3, "error": 4}
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
OK, ERROR, PANIC = 0, 1, 2
local = threading.local()  # .task, in threads that belong to a task


class Stopped(BaseException):
    """Raised when the stop comes, in a script that has never asked about it."""


class Failure(Exception):
    """Ends the execution with outcome `error`."""


def seconds(value):
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)", value, re.ASCII)
        if match is None:
            raise ValueError('must be a number of seconds, or a duration such as "250ms", "10s" or "1.5h"')
        return float(match[1]) * UNITS[match[2]]
    if value != value:
        raise ValueError("must be a number of seconds, not NaN")
    return max(float(value), 0.0)


class Task:
    Stopped = Stopped
    Failure = Failure

    def __init__(self, handle, name, execution, args):
        self._handle = handle
        self._threads = 0
        self.name = name
        self.execution = execution
        self.args = args

    def log(self, *values, level="info"):
        text = " ".join(map(str, values)).encode("utf-8", "replace")
        for line in text.split(b"\n"):
            host.log(self._handle, LEVELS[level], line)

    def trace(self, *values):
        self.log(*values, level="trace")

    def debug(self, *values):
        self.log(*values, level="debug")

    def info(self, *values):
        self.log(*values)

    def warning(self, *values):
        self.log(*values, level="warning")

    def error(self, *values):
        self.log(*values, level="error")

    def sleep(self, delay):
        if host.wait(self._handle, seconds(delay), False):
            raise Stopped

    def stopped(self, limit=float("inf")):
        return host.wait(self._handle, seconds(limit), True)

    def stop_requested(self):
        return host.stop_requested(self._handle)

    def ready(self):
        host.ready(self._handle)

    def heartbeat(self):
        host.heartbeat(self._handle)

    def status(self, text):
        host.status(self._handle, str(text))

    def now(self):
        return host.now(self._handle)

    def fail(self, text):
        raise Failure(text)

    duration = staticmethod(seconds)

    def options(self, **defaults):
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        if not isinstance(self.args, dict):
            raise Failure("config: /args: must be an object")
        for name, value in self.args.items():
            if name not in defaults:
                raise Failure(f"config: /args/{name}: unknown key")
            kind = type(defaults[name])
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise Failure(f"config: /args/{name}: must be {words.get(kind, 'a ' + kind.__name__)}")
        return types.SimpleNamespace(**{**defaults, **self.args})


class Output(io.TextIOBase):
    """Logs lines under the task whose thread writes them; other threads' lines go where they went before."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, level, before):
        self.level = level
        self.before = before

    def writable(self):
        return True

    def write(self, text):
        task = getattr(local, "task", None)
        if task is None:
            if self.before is not None:
                return self.before.write(text)
            os.write(2, text.encode("utf-8", "replace"))  # a thread that belongs to no task
            return len(text)
        *lines, rest = (getattr(local, self.level, "") + text).split("\n")
        setattr(local, self.level, rest)
        for line in lines:
            task.log(line, level=self.level)
        return len(text)

    def flush(self):
        pass

    def finish(self):
        if getattr(local, self.level, ""):
            self.write("\n")


def sleep(delay):
    """time.sleep, for threads of tasks: it ends when the stop comes."""
    task = getattr(local, "task", None)
    if task is None or isinstance(delay, str) or not delay >= 0:
        return plain_sleep(delay)  # raises the proper error
    task.sleep(delay)


def start_thread(self):
    """threading.Thread.start, so that a thread that a script starts belongs to its task."""
    self._task = getattr(local, "task", None)
    if self._task is not None:
        self._task._threads += 1
    try:
        plain_start(self)
    except BaseException:
        if self._task is not None:
            self._task._threads -= 1
        raise


def run_thread(self):
    """threading.Thread._bootstrap, which a thread runs from beginning to end."""
    if self._task is None:
        return plain_bootstrap(self)
    local.task = self._task
    try:
        plain_bootstrap(self)
    finally:
        outputs_finish()
        self._task._threads -= 1


def excepthook(args):
    if args.exc_type is not Stopped:
        plain_excepthook(args)


def refuse_signal(*_):
    raise ValueError("a task changes no signal handlers: they are the whole process's (rule 5.1)")


def outputs_finish():
    for output in outputs:
        output.finish()


def compiled(text, file):
    """The script as code; a Failure if it is none. Executes nothing of it."""
    file = file or "<code>"
    try:
        return compile(text, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        place = file if error.lineno is None else f"{file}:{error.lineno}"
        line = (error.text or "").strip()
        raise Failure(f"{place}: {type(error).__name__}: {error.msg}" + (f": {line:.200}" if line else "")) from None
    except MemoryError:
        raise Failure(f"{file}: nested too deeply, or not enough memory to compile it") from None
    except Exception as error:  # a null byte, or nested too deeply
        raise Failure(f"{file}: {type(error).__name__}: {error}") from None


class Notes:
    """Stands for the task while its script is examined: the compiler's warnings."""

    def __init__(self):
        self.lines = []

    def log(self, line, level):
        self.lines.append(line.replace("\n", " "))


def examine(text, file):
    """Returns (problem, warnings): why the script can't be compiled, if so, and what the compiler warns of."""
    local.task = notes = Notes()
    problem = ""
    try:
        compiled(text, file)
    except Failure as failure:
        problem = str(failure)
    outputs_finish()
    local.__dict__.clear()
    return problem.encode("utf-8", "replace"), "\n".join(notes.lines).encode("utf-8", "replace")


def prepare(handle, config, name, execution, directory, text, file):
    """Returns (code, globals, module, task), or raises an exception that conclude turns into an outcome."""
    config = json.loads(config)
    task = Task(handle, name, execution, config.get("args", {}))
    local.task = task
    folders = config.get("path", [])
    folders = [os.path.join(directory, folder) for folder in folders]
    if file:
        folders = [*folders, os.path.dirname(file) or "."]
    for folder in map(os.path.abspath, folders):
        if folder not in sys.path:
            sys.path.append(folder)
    module = types.ModuleType("__taskhost__")
    module.__file__ = file or "<code>"
    module.task = task
    code = compiled(text, file)
    sys.modules["__taskhost__"] = module  # where dataclasses etc. look for the latest script's names
    return code, module.__dict__, module, task


def place(error):
    """The script's traceback, without this file's functions at its end."""
    last = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename != "<taskhost>":
            last = f" ({frame.f_code.co_filename}:{line})"
    return last


def outcome(error, task):
    if error is None or isinstance(error, Stopped):
        return OK, ""
    if isinstance(error, Failure):
        return ERROR, str(error)
    if isinstance(error, SystemExit):
        if error.code is None or error.code == 0:
            return OK, ""
        return ERROR, error.code if isinstance(error.code, str) else f"sys.exit({error.code})"
    for line in "".join(traceback.format_exception(error)).splitlines():
        local.task.error(line)
    return PANIC, f"{type(error).__name__}: {error}{place(error)}"


def conclude(handle, error, prepared):
    module, task = prepared[2:] if prepared is not None else (None, None)
    try:
        outputs_finish()
        kind, text = outcome(error, task)
        if task is not None and task._threads > 0:
            task.warning(f"{task._threads} of the script's threads still run; a script joins them before its end")
    except Exception as problem:  # making an exception's text may fail in any way
        kind, text = PANIC, f"{type(error).__name__}, and its text can't be had: {type(problem).__name__}"
    if error is not None:
        traceback.clear_frames(error.__traceback__)
    if module is not None:
        if sys.modules.get("__taskhost__") is module:
            del sys.modules["__taskhost__"]
        if task._threads == 0:
            module.__dict__.clear()  # frees what the script held: its functions and globals form a cycle
    local.__dict__.clear()
    return kind, text.encode("utf-8", "replace")


plain_sleep, time.sleep = time.sleep, sleep
plain_start, threading.Thread.start = threading.Thread.start, start_thread
plain_bootstrap, threading.Thread._bootstrap = threading.Thread._bootstrap, run_thread
plain_excepthook, threading.excepthook = threading.excepthook, excepthook
outputs = [Output("info", None if ours else sys.stdout), Output("warning", None if ours else sys.stderr)]
sys.stdout, sys.stderr = outputs
if ours:
    sys.stdin = sys.__stdin__ = None
    sys.__stdout__, sys.__stderr__ = outputs
    sys.argv = [""]
    signal.signal = signal.set_wakeup_fd = refuse_signal  # a task's thread may pass for the main one
