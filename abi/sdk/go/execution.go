package taskhost

/*
#include "bridge.h"

static void taskhost_go_finish_text(taskhost_go_state* state, int32_t status, _GoString_ text) {
  taskhost_go_finish(state, status, _GoStringPtr(text), _GoStringLen(text));
}
static void taskhost_go_fail(const taskhost_exec* exec, _GoString_ text) {
  exec->services->fail(exec, _GoStringPtr(text), _GoStringLen(text));
}
*/
import "C"

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

type status int32

const (
	statusOK    status = C.TASKHOST_OK
	statusError status = C.TASKHOST_ERROR
	statusPanic status = C.TASKHOST_PANIC
)

// The host cuts texts there; what is longer need not be copied.
const longestText = 4096

// The executions whose goroutine has not ended and that the host has not dropped. The host knows a number only, so that
// no Go pointer lies in C's memory, and numbers are not used again, so that an old one finds nothing.
var living = struct {
	sync.Mutex
	last  uint64
	tasks map[uint64]*Task
}{tasks: map[uint64]*Task{}}

func find(id uint64) *Task {
	living.Lock()
	defer living.Unlock()
	return living.tasks[id]
}

func forget(id uint64) {
	living.Lock()
	defer living.Unlock()
	delete(living.tasks, id)
}

// What comes before the goroutine, on the host's thread.
func preparation(from *recipe, exec *C.taskhost_exec) (ended status, text string,
	run func(context.Context, *Task) error) {
	ended, text = guarded(func() error {
		var ok bool
		if run, ok = from.prepare(exec); !ok {
			return errTold
		}
		return nil
	})
	return ended, text, run
}

func begin(task *Task, run func(context.Context, *Task) error) uint64 {
	ctx, cancel := context.WithCancel(context.Background())
	task.cancel = cancel
	living.Lock()
	living.last++
	task.id = living.last
	living.tasks[task.id] = task
	living.Unlock()
	go task.execute(ctx, run)
	return task.id
}

func (task *Task) execute(ctx context.Context, run func(context.Context, *Task) error) {
	ended, text := statusError, "its goroutine was ended by runtime.Goexit"
	defer func() { task.finish(ended, text) }()
	ended, text = guarded(func() error { return run(ctx, task) })
}

// The goroutine's end. Holding the lock, so that drop can't be over before the state was written.
func (task *Task) finish(ended status, text string) {
	task.cancel()
	task.mutex.Lock()
	if task.exec != nil {
		task.exec = nil
		C.taskhost_go_finish_text(task.state, C.int32_t(ended), text)
	}
	task.mutex.Unlock()
	forget(task.id)
}

// The execution's end without the goroutine's, which may go on for as long as it likes, but on its own.
func (task *Task) cutOff() {
	task.cancel()
	task.mutex.Lock()
	task.exec = nil
	task.mutex.Unlock()
	forget(task.id)
}

type told struct{}

func (told) Error() string { return "" }

// The host has been told why already.
var errTold error = told{}

// Calls, and tells how it ended. Does not return if runtime.Goexit was called.
func guarded(call func() error) (ended status, text string) {
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover() // nil for panic(nil), and for Goexit, which goes on
		ended, text = statusPanic, cut(fmt.Sprint(value)+panicPlace())
	}()
	if err := call(); err != nil {
		ended, text = statusError, cut(err.Error())
	}
	returned = true
	return ended, text
}

func cut(text string) string {
	if len(text) > longestText {
		return text[:longestText]
	}
	return text
}

// " (task.go:12)": where the panic that is being recovered from began; for a function that the deferred one calls.
func panicPlace() string {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(0, counters[:])])
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Sprintf(" (%s:%d)", filepath.Base(frame.File), frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return ""
		}
	}
}

func fail(exec *C.taskhost_exec, text string) { C.taskhost_go_fail(exec, text) }
