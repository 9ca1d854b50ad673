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

// How a call ended.
const (
	OK      = C.TASKHOST_OK
	Pending = C.TASKHOST_PENDING
	Error   = C.TASKHOST_ERROR
	Panic   = C.TASKHOST_PANIC
)

// Execution is one of a task's executions.
type Execution struct{ fake *C.fake_exec }

func first() *C.taskhost_factory { return C.taskhost_plugin_v1() }

// Names gives the names of the library's tasks.
func Names() (names []string) {
	for factory := first(); factory != nil; factory = factory.next {
		names = append(names, C.GoString(factory.name))
	}
	return names
}

// New makes an execution of the task that has not been started.
func New(name, config string) *Execution {
	for factory := first(); factory != nil; factory = factory.next {
		if C.GoString(factory.name) == name {
			return &Execution{C.fake_new(factory, C.CString(config))}
		}
	}
	panic("no task " + name)
}

// HideExtensions makes the host one without extensions.
func (one *Execution) HideExtensions() { one.fake.no_extensions = 1 }

// Text is what the extension taskhost.config finds at the pointer.
func (one *Execution) Text(pointer, text string) {
	C.fake_answer_with(one.fake, C.CString(pointer), C.CString(text), 0)
}

// Number is the same for all that is no text: durations in nanoseconds, 1 for true, how many for an array.
func (one *Execution) Number(pointer string, number float64) {
	C.fake_answer_with(one.fake, C.CString(pointer), nil, C.double(number))
}

// The functions of the plugin, on the thread that calls.
func (one *Execution) Start() int { return int(C.fake_start(one.fake)) }
func (one *Execution) Poll() int  { return int(C.fake_poll(one.fake)) }
func (one *Execution) Drop()      { C.fake_drop(one.fake) }

// Stop requests it, and wakes.
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

// Failure is the text of the last fail.
func (one *Execution) Failure() string { return C.GoString(&one.fake.failure[0]) }

// Ready is how often the task said so; Heartbeats the same.
func (one *Execution) Ready() int      { return int(one.fake.ready) }
func (one *Execution) Heartbeats() int { return int(one.fake.heartbeats) }

// Logged is how many lines were logged, and the last one.
func (one *Execution) Logged() (count int, line string) {
	var text [C.FAKE_TEXT]C.char
	count = int(C.fake_logged(one.fake, &text[0]))
	return count, C.GoString(&text[0])
}

// Keys are what the plugin has told the extension taskhost.config that it knows.
func (one *Execution) Keys() string { return C.GoString(&one.fake.keys[0]) }

// Asked is the last question to that extension, such as "integer /times 0 255".
func (one *Execution) Asked() string { return C.GoString(&one.fake.asked[0]) }
