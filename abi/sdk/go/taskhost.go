// Package taskhost turns ordinary functions into supervised tasks: each execution is a goroutine, and the host stops it
// by cancelling a context.
//
//	func init() { taskhost.Register("reader", "1.0", "reads the feed", read) }
//
//	func read(ctx context.Context, task *taskhost.Task) error { … }
//
//	func main() {} // never called, but a library needs one
//
// The function determines the outcome: nil is ok, an error is error with its text, and a panic is panic with its text
// and location. The manifest decides what follows from an outcome; a restart is a new call of the function.
package taskhost

// In a copy of the package the headers are inside it; in taskhost's own repository they are beside the SDKs.

// #cgo CFLAGS: -O2 -fvisibility=hidden -I${SRCDIR}/include -I${SRCDIR}/../../include
// #include "bridge.h"
import "C"

import (
	"context"
	"reflect"
	"time"
)

// A recipe describes a registered task.
type recipe struct {
	name, version, description string
	plan                       *C.taskhost_go_plan // nil: the host does not read the config
	check                      func(values []uint64) error
	run                        runner
}

var recipes []recipe

// Register adds a task to this library. Call it from an init function; if there are several tasks, the manifest selects
// one by name. version and description may be empty. The host checks names and texts, and rejects the library if they
// break a rule.
func Register(name, version, description string, run func(ctx context.Context, task *Task) error) {
	add(recipe{name, version, description, nil, nil, func(ctx context.Context, task *Task, _ []uint64) error {
		return run(ctx, task)
	}})
}

// RegisterWithConfig adds a task whose config the host reads into a struct: a wrong value or an unknown key makes the
// start fail with a message that names it. Each execution gets a copy of defaults, overwritten with the values from the
// manifest; the elements of slices in defaults are shared. Fields without a `config` tag are left alone:
//
//	type config struct {
//		Path  string        `config:"path,required"`
//		Every time.Duration `config:"every"`               // "250ms", "10s", "1.5h"
//		Times int           `config:"times" min:"0"`       // whole numbers may have min and max
//		Pins  []uint8       `config:"pins"`                // a slice: an array
//	}
//
// A field may be a string, bool, number, time.Duration, a struct, or a slice of these. If *Config has a method
// Check() error, it is called before run; if it returns an error, that is the outcome, with its text unchanged. All of
// this is also checked, without an execution, by `taskhost check` and before the host starts, so Check must start
// nothing, and be safe to call at any time.
func RegisterWithConfig[Config any](name, version, description string, defaults Config,
	run func(ctx context.Context, task *Task, config Config) error) {
	fields, problem := planStruct(reflect.TypeOf(&defaults).Elem(), 0)
	decode := func(values []uint64) (config Config, err error) {
		config = defaults
		decodeFields(fields, reflect.ValueOf(&config).Elem(), values)
		if checked, has := any(&config).(checker); has {
			err = checked.Check()
		}
		return config, err
	}
	_, hasCheck := any(&defaults).(checker)
	add(recipe{name, version, description, planInC(fields, problem, hasCheck),
		func(values []uint64) error {
			_, err := decode(values)
			return err
		},
		func(ctx context.Context, task *Task, values []uint64) error {
			config, err := decode(values)
			if err != nil {
				return err
			}
			return run(ctx, task, config)
		}})
}

type checker interface{ Check() error }

// Sleep waits and returns nil. If ctx is cancelled first, it returns ctx.Err() at once.
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
