// Package fakehost is the host's side of the plugin interface for this module's own tests: it drives executions one
// step at a time, and ends the process if a service is called when or where it must not be.
package fakehost

// #cgo CFLAGS: -I${SRCDIR}/../../../../include
// #include "fakehost.h"
import "C"

import (
	"runtime"
	"time"
)

// The statuses that a call can return.
const (
	OK      = C.TASKHOST_OK
	Pending = C.TASKHOST_PENDING
	Error   = C.TASKHOST_ERROR
	Panic   = C.TASKHOST_PANIC
)

// Execution is one of a task's executions.
type Execution struct{ fake *C.fake_exec }

func first() *C.taskhost_factory { return C.taskhost_plugin_v1() }

// Names returns the names of the library's tasks.
func Names() (names []string) {
	for factory := first(); factory != nil; factory = factory.next {
		names = append(names, C.GoString(factory.name))
	}
	return names
}

// New creates an execution of the task, without starting it.
func New(name, config string) *Execution {
	for factory := first(); factory != nil; factory = factory.next {
		if C.GoString(factory.name) == name {
			return &Execution{C.fake_new(factory, C.CString(config))}
		}
	}
	panic("no task " + name)
}

// HideExtensions turns the host into one without extensions.
func (one *Execution) HideExtensions() { one.fake.no_extensions = 1 }

// Text sets the text that the extension taskhost.config finds at the pointer.
func (one *Execution) Text(pointer, text string) {
	C.fake_answer_with(one.fake, C.CString(pointer), C.CString(text), 0)
}

// Number does the same for all other types: durations in nanoseconds, 1 for true, the length of an array.
func (one *Execution) Number(pointer string, number float64) {
	C.fake_answer_with(one.fake, C.CString(pointer), nil, C.double(number))
}

// The functions of the plugin, called on the current thread.
func (one *Execution) Start() int { return int(C.fake_start(one.fake)) }
func (one *Execution) Poll() int  { return int(C.fake_poll(one.fake)) }
func (one *Execution) Drop()      { C.fake_drop(one.fake) }

// HasCheck tells whether the task has a check; Check calls it. No execution need exist then.
func (one *Execution) HasCheck() bool { return one.fake.factory.check != nil }
func (one *Execution) Check() int     { return int(C.fake_check(one.fake)) }

// Stop requests the stop, and wakes the execution.
func (one *Execution) Stop() { C.fake_stop(one.fake) }

// Finish polls after each wake until the execution has ended.
func (one *Execution) Finish() int {
	for begun := time.Now(); time.Since(begun) < time.Minute; runtime.Gosched() {
		if C.fake_take_wakes(one.fake) == 0 {
			continue
		}
		if result := one.Poll(); result != Pending {
			return result
		}
	}
	panic("the execution does not end")
}

// Failure is the text of the last call of fail.
func (one *Execution) Failure() string { return C.GoString(&one.fake.failure[0]) }

// Ready is the number of calls of ready, Heartbeats that of heartbeat.
func (one *Execution) Ready() int      { return int(one.fake.ready) }
func (one *Execution) Heartbeats() int { return int(one.fake.heartbeats) }

// Logged returns the number of lines logged, and the last one.
func (one *Execution) Logged() (count int, line string) {
	var text [C.FAKE_TEXT]C.char
	count = int(C.fake_logged(one.fake, &text[0]))
	return count, C.GoString(&text[0])
}

// Status is the last status.
func (one *Execution) Status() string {
	var text [C.FAKE_TEXT]C.char
	C.fake_status(one.fake, &text[0])
	return C.GoString(&text[0])
}

// Keys are the keys that the plugin has passed to the extension taskhost.config.
func (one *Execution) Keys() string { return C.GoString(&one.fake.keys[0]) }

// Asked is the last call of that extension, such as "integer /times 0 255".
func (one *Execution) Asked() string { return C.GoString(&one.fake.asked[0]) }
