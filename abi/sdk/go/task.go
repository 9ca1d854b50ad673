package taskhost

/*
#include "bridge.h"

static int32_t write_log(taskhost_go_record* record, uint64_t id, int32_t level, _GoString_ text) {
  return taskhost_go_log(record, id, level, _GoStringPtr(text), _GoStringLen(text));
}
static void write_status(taskhost_go_record* record, uint64_t id, _GoString_ text) {
  taskhost_go_status(record, id, _GoStringPtr(text), _GoStringLen(text));
}
static int32_t parse_duration(taskhost_go_record* record, uint64_t id, _GoString_ text, uint64_t* value) {
  return taskhost_go_parse_duration(record, id, _GoStringPtr(text), _GoStringLen(text), value);
}
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Level is the level of a log line.
type Level int32

// The levels of the host's --log-level.
const (
	Trace   Level = C.TASKHOST_LOG_TRACE
	Debug   Level = C.TASKHOST_LOG_DEBUG
	Info    Level = C.TASKHOST_LOG_INFO
	Warning Level = C.TASKHOST_LOG_WARNING
	Error   Level = C.TASKHOST_LOG_ERROR
)

// ErrEnded is returned by a Writer once the execution has ended.
var ErrEnded = errors.New("taskhost: the execution has ended")

// Task is one execution as its function sees it. Its methods may be called from any goroutine at any time. Once the
// execution has ended, or the host has dropped it because it did not, they do nothing.
type Task struct {
	name, config string
	number       uint64
	record       *C.taskhost_go_record
	id           C.uint64_t // the record is this execution's as long as it has this id
}

// Name is the task's name in the manifest.
func (task *Task) Name() string { return task.name }

// ExecutionNumber is the number of this execution within its task, starting at 1.
func (task *Task) ExecutionNumber() uint64 { return task.number }

// Config is the task's config from the manifest: JSON text, "{}" if there is none.
func (task *Task) Config() string { return task.config }

// Log writes a line to the host's log under the task's name. It is cut at 4096 bytes.
func (task *Task) Log(level Level, text string) { task.log(level, text) }

// Logf does the same with a format.
func (task *Task) Logf(level Level, format string, arguments ...any) {
	task.log(level, fmt.Sprintf(format, arguments...))
}

// Ready reports that the execution is ready to do its job. Further calls have no effect.
func (task *Task) Ready() { C.taskhost_go_ready(task.record, task.id) }

// Heartbeat is a sign of life, for the task's watchdog.
func (task *Task) Heartbeat() { C.taskhost_go_heartbeat(task.record, task.id) }

// Status tells operators what the execution is doing, in one line. It replaces the last one, and is cut at 256 bytes.
// Cheap enough for each step of work, not for each byte.
func (task *Task) Status(text string) { C.write_status(task.record, task.id, text) }

// ParseDuration reads a duration as the host reads those of a config, such as "250ms", "10s" or "1.5h", for one that
// stands elsewhere. ok is false if the text is none, or longer than 365 days, and once the execution has ended.
func (task *Task) ParseDuration(text string) (duration time.Duration, ok bool) {
	var nanoseconds C.uint64_t
	ok = C.parse_duration(task.record, task.id, text, &nanoseconds) != 0
	return time.Duration(nanoseconds), ok
}

// Writer returns a writer that writes each line of its text to the host's log, for log.New(task.Writer(taskhost.Info),
// "", 0) and the like. A line is written when it is complete. Use each writer in one goroutine at a time, which a
// log.Logger ensures.
func (task *Task) Writer(level Level) io.Writer { return &lineWriter{task: task, level: level} }

func (task *Task) log(level Level, text string) bool {
	return C.write_log(task.record, task.id, C.int32_t(level), text) != 0
}

type lineWriter struct {
	task  *Task
	level Level
	begun []byte // the beginning of an incomplete line
}

// Log lines are cut at this length, so more need not be kept.
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
