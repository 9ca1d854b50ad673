package taskhost

/*
#include "bridge.h"

// Here and not in bridge.c: _GoString_ is known in such a comment only, and in one of a file that exports nothing.
static void taskhost_go_log(const taskhost_exec* exec, int32_t level, _GoString_ text) {
  exec->services->log(exec, level, _GoStringPtr(text), _GoStringLen(text));
}
static void taskhost_go_ready(const taskhost_exec* exec) { exec->services->ready(exec); }
static void taskhost_go_heartbeat(const taskhost_exec* exec) { exec->services->heartbeat(exec); }
*/
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Level is how much a line of the log matters.
type Level int32

// What the host's --log-level chooses among.
const (
	Trace   Level = C.TASKHOST_LOG_TRACE
	Debug   Level = C.TASKHOST_LOG_DEBUG
	Info    Level = C.TASKHOST_LOG_INFO
	Warning Level = C.TASKHOST_LOG_WARNING
	Error   Level = C.TASKHOST_LOG_ERROR
)

// ErrEnded is what a Writer gives once the execution has ended.
var ErrEnded = errors.New("taskhost: the execution has ended")

// Task is one execution as its function sees it. Its methods may be called from any goroutine at any time. Once the
// execution has ended, or the host has dropped it because it did not, they do nothing.
type Task struct {
	name, config string
	number       uint64
	id           uint64
	cancel       context.CancelFunc

	mutex sync.Mutex // held during each service: drop waits for it
	exec  *C.taskhost_exec
	state *C.taskhost_go_state // valid as long as exec
}

// Name is the task's name in the manifest.
func (task *Task) Name() string { return task.name }

// ExecutionNumber is the number of this execution within its task, from 1.
func (task *Task) ExecutionNumber() uint64 { return task.number }

// Config is the task's config from the manifest: JSON text, "{}" if there is none.
func (task *Task) Config() string { return task.config }

// Log writes a line to the host's log under the task's name. It is cut at 4096 bytes.
func (task *Task) Log(level Level, text string) { task.log(level, text) }

// Logf does so with a format.
func (task *Task) Logf(level Level, format string, arguments ...any) {
	task.log(level, fmt.Sprintf(format, arguments...))
}

// Ready tells that the execution is ready for what it is there for. Again: no effect.
func (task *Task) Ready() {
	task.mutex.Lock()
	defer task.mutex.Unlock()
	if task.exec != nil {
		C.taskhost_go_ready(task.exec)
	}
}

// Heartbeat is a sign of life, for the task's watchdog.
func (task *Task) Heartbeat() {
	task.mutex.Lock()
	defer task.mutex.Unlock()
	if task.exec != nil {
		C.taskhost_go_heartbeat(task.exec)
	}
}

// Writer gives a writer of whose text each line is one of the log, for log.New(task.Writer(taskhost.Info), "", 0) and
// the like. A line is written when its end comes. Each writer is for one goroutine at a time, as a log.Logger sees to.
func (task *Task) Writer(level Level) io.Writer { return &lineWriter{task: task, level: level} }

func (task *Task) log(level Level, text string) bool {
	task.mutex.Lock()
	defer task.mutex.Unlock()
	if task.exec == nil {
		return false
	}
	C.taskhost_go_log(task.exec, C.int32_t(level), text)
	return true
}

type lineWriter struct {
	task  *Task
	level Level
	begun []byte // of a line that has no end yet
}

// No line of the log is longer, so more need not be kept.
const longestLine = 4096

func (writer *lineWriter) Write(text []byte) (int, error) {
	size := len(text)
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			if room := longestLine - len(writer.begun); len(text) > room {
				text = text[:room]
			}
			writer.begun = append(writer.begun, text...)
			return size, nil
		}
		line := string(text[:end])
		if len(writer.begun) > 0 {
			line = string(writer.begun) + line
			writer.begun = writer.begun[:0]
		}
		text = text[end+1:]
		if !writer.task.log(writer.level, line) {
			return size - len(text), ErrEnded
		}
	}
}
