package taskhost

// The library's entry, and the dispatcher, which handles the requests of the host's threads.

// #include "bridge.h"
import "C"

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"unsafe"
)

var (
	opening sync.Once // after this no recipe can be added
	opened  bool
	factory *C.taskhost_factory // the first of the chain
)

//export taskhostGoFactories
func taskhostGoFactories() *C.taskhost_factory {
	opening.Do(func() {
		opened = true
		if descriptor := C.taskhost_go_open(); descriptor >= 0 {
			go dispatch(os.NewFile(uintptr(descriptor), "the host's notes"))
		}
		for index := len(recipes) - 1; index >= 0; index-- {
			one := &recipes[index]
			factory = C.taskhost_go_factory(C.uint32_t(index), C.CString(one.name), textOrNull(one.version),
				textOrNull(one.description), one.plan, factory)
		}
	})
	return factory
}

//export taskhostGoCheck
func taskhostGoCheck(index C.uint32_t, words *C.uint64_t, count C.size_t, text **C.char) C.int32_t {
	values := append([]uint64(nil), unsafe.Slice((*uint64)(words), count)...)
	ended, reason := statusError, "its goroutine was ended by runtime.Goexit"
	done := make(chan struct{})
	go func() { // a thread of the host must not be ended by Goexit
		defer close(done)
		ended, reason = guarded(func() error { return recipes[index].check(values) })
	}()
	<-done
	if ended != statusOK {
		*text = C.CString(reason)
	}
	return C.int32_t(ended)
}

func textOrNull(text string) *C.char {
	if text == "" {
		return nil
	}
	return C.CString(text)
}

func dispatch(bell *os.File) {
	living := map[C.uint64_t]context.CancelFunc{} // executions that have not been dropped
	var rings [8]byte
	for {
		if _, err := bell.Read(rings[:]); err != nil {
			panic(err) // never happens: an eventfd does not fail, and nobody closes it
		}
		for record := C.taskhost_go_take_notes(); record != nil; {
			next := record.taken_next // read it before the record is recycled
			follow(record, living)
			record = next
		}
	}
}

func follow(record *C.taskhost_go_record, living map[C.uint64_t]context.CancelFunc) {
	id, notes := record.id, record.taken
	if notes&C.TASKHOST_GO_START != 0 && notes&C.TASKHOST_GO_DROP == 0 {
		living[id] = begin(record)
	}
	if notes&(C.TASKHOST_GO_STOP|C.TASKHOST_GO_DROP) != 0 {
		if cancel := living[id]; cancel != nil {
			cancel()
		}
	}
	if notes&C.TASKHOST_GO_DROP != 0 {
		delete(living, id)
		C.taskhost_go_recycle(record)
	}
}

func begin(record *C.taskhost_go_record) context.CancelFunc {
	pipeSignal.Do(respectPipeSignal)
	ctx, cancel := context.WithCancel(context.Background())
	texts := C.GoStringN(record.name, C.int(record.name_size+record.config_size))
	task := &Task{
		record: record,
		id:     record.id,
		name:   texts[:record.name_size],
		config: texts[record.name_size:],
		number: uint64(record.number),
	}
	values := append([]uint64(nil), unsafe.Slice((*uint64)(record.values.words), record.values.count)...)
	go task.execute(ctx, cancel, recipes[record.index].run, values)
	return cancel
}

var pipeSignal sync.Once

// Go ends the process when a write to stdout or stderr hits a closed pipe, unless it believes that the signal is
// ignored, which it does not check. If the embedding program ignores the signal, Go should do so too.
func respectPipeSignal() {
	if C.taskhost_go_ignores_pipe_signal() != 0 {
		signal.Ignore(syscall.SIGPIPE)
	}
}
