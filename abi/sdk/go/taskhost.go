// Package taskhost makes supervised tasks of ordinary functions: each execution is a goroutine, and the host's wish to
// stop it is a cancelled context.
//
//	func init() { taskhost.Register("reader", "1.0", "reads the feed", read) }
//
//	func read(ctx context.Context, task *taskhost.Task) error { … }
//
//	func main() {} // not called: a library needs one all the same
//
// What the function returns is the outcome: nil is ok, an error is error with its text, and a panic is panic with its
// text and place. What follows from an outcome is the manifest's business; a restart is a new call of the function.
package taskhost

// The headers lie in the package where it is a copy, and beside the SDKs in taskhost's own repository.

// #cgo CFLAGS: -O2 -fvisibility=hidden -I${SRCDIR}/include -I${SRCDIR}/../../include
// #include "bridge.h"
import "C"

import (
	"context"
	"reflect"
	"time"
)

// A recipe is what a registered task is made from.
type recipe struct {
	name, version, description string
	plan                       *C.taskhost_go_plan // nil: the host reads no config for it
	run                        runner
}

var recipes []recipe

// Register adds a task to this library. Call it from an init function; the manifest names the task if there are
// several. version and description may be empty. The host checks names and texts, and refuses the library if they break
// a rule.
func Register(name, version, description string, run func(ctx context.Context, task *Task) error) {
	add(recipe{name, version, description, nil, func(ctx context.Context, task *Task, _ []uint64) error {
		return run(ctx, task)
	}})
}

// RegisterWithConfig adds a task whose config the host reads into a struct: a value that will not do, or an unknown
// key, makes the start fail with a message that names it. Each execution gets a copy of defaults with what the manifest
// says written over it; what a slice in defaults holds is shared. Fields without a `config` tag are left alone:
//
//	type config struct {
//		Path  string        `config:"path,required"`
//		Every time.Duration `config:"every"`               // "250ms", "10s", "1.5h"
//		Times int           `config:"times" min:"0"`       // whole numbers may have min and max
//		Pins  []uint8       `config:"pins"`                // a slice: an array
//	}
//
// A field may be a string, bool, number, time.Duration, a struct, or a slice of these. If *Config has a method
// Check() error, it is called before run; its error is the outcome, with its text as it is.
func RegisterWithConfig[Config any](name, version, description string, defaults Config,
	run func(ctx context.Context, task *Task, config Config) error) {
	fields, problem := planStruct(reflect.TypeOf(&defaults).Elem(), 0)
	add(recipe{name, version, description, planInC(fields, problem),
		func(ctx context.Context, task *Task, values []uint64) error {
			config := defaults
			decodeFields(fields, reflect.ValueOf(&config).Elem(), values)
			if checked, has := any(&config).(interface{ Check() error }); has {
				if err := checked.Check(); err != nil {
					return err
				}
			}
			return run(ctx, task, config)
		}})
}

// Sleep waits, and returns nil, or ctx.Err() at once when ctx is cancelled first.
func Sleep(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func add(one recipe) {
	if opened {
		panic("taskhost: tasks are registered in init functions, before the host asks for them")
	}
	recipes = append(recipes, one)
}
