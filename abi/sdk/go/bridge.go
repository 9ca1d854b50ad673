package taskhost

// What bridge.c calls. Each of these runs on a thread of the host, within one of the execution's own functions.

// #include "bridge.h"
import "C"

import (
	"os/signal"
	"sync"
	"syscall"
)

var pipeSignal sync.Once

//export taskhostGoFactories
func taskhostGoFactories() *C.taskhost_factory {
	closing.Do(func() {
		closed = true
		for index := len(recipes) - 1; index >= 0; index-- {
			one := &recipes[index]
			factory = C.taskhost_go_factory(C.uint32_t(index), C.CString(one.name), textOrNull(one.version),
				textOrNull(one.description), factory)
		}
	})
	return factory
}

//export taskhostGoStart
func taskhostGoStart(index C.uint32_t, state *C.taskhost_go_state, exec *C.taskhost_exec, name *C.char,
	config *C.char, configSize C.size_t, number C.uint64_t) C.int32_t {
	respectPipeSignal()
	status, text, run := preparation(&recipes[index], exec)
	if status != statusOK {
		if text != "" {
			fail(exec, text)
		}
		return C.int32_t(status)
	}
	task := &Task{
		name:   C.GoString(name),
		config: C.GoStringN(config, C.int(configSize)),
		number: uint64(number),
		exec:   exec,
		state:  state,
	}
	state.id = C.uint64_t(begin(task, run))
	return C.TASKHOST_OK
}

//export taskhostGoStop
func taskhostGoStop(id C.uint64_t) {
	if task := find(uint64(id)); task != nil {
		task.cancel()
	}
}

//export taskhostGoDrop
func taskhostGoDrop(id C.uint64_t) {
	if task := find(uint64(id)); task != nil {
		task.cutOff()
	}
}

func textOrNull(text string) *C.char {
	if text == "" {
		return nil
	}
	return C.CString(text)
}

// Go ends the process when a write to stdout or stderr meets a closed pipe, unless it believes that the signal is
// ignored; and it does not look whether it is. Where the program around ignores it, Go shall do so too.
func respectPipeSignal() {
	pipeSignal.Do(func() {
		if C.taskhost_go_ignores_pipe_signal() != 0 {
			signal.Ignore(syscall.SIGPIPE)
		}
	})
}
