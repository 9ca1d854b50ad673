package taskhost

/*
#include "bridge.h"

// Here and not in bridge.c: _GoString_ is known only in such a comment, in a file that exports nothing.
static void finish(taskhost_go_record* record, uint64_t id, int32_t status, _GoString_ text) {
  taskhost_go_finish(record, id, status, _GoStringPtr(text), _GoStringLen(text));
}
*/
import "C"

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

type status int32

const (
	statusOK    status = C.TASKHOST_OK
	statusError status = C.TASKHOST_ERROR
	statusPanic status = C.TASKHOST_PANIC
)

// The host cuts texts at this length; more need not be copied.
const longestText = 4096

// A runner is the body of a goroutine; it gets the words that were read from the config.
type runner func(ctx context.Context, task *Task, values []uint64) error

func (task *Task) execute(ctx context.Context, cancel context.CancelFunc, run runner, values []uint64) {
	ended, text := statusError, "its goroutine was ended by runtime.Goexit"
	defer func() {
		cancel()
		C.finish(task.record, task.id, C.int32_t(ended), text)
	}()
	ended, text = guarded(func() error { return run(ctx, task, values) })
}

// Calls the function, and reports how it ended. Does not return if runtime.Goexit was called.
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

// " (task.go:12)": where the panic that is being recovered from began. For deferred functions to call.
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
