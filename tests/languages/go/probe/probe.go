// Tasks in Go for the tests: all ways to end, and not to end.
package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"taskhost"
	"time"
)

type ending struct {
	End     string        `config:"end"`
	Message string        `config:"message"`
	After   time.Duration `config:"after"`
}

func init() {
	taskhost.RegisterWithConfig("probe", "1.0", "ends as its config says", ending{End: "ok"}, end)
	register("idle", idle)
	register("deaf", deaf)
	register("late", late)
	register("busy", busy)
	register("prints", prints)
	register("echo", echo)
	taskhost.RegisterWithConfig("storm", "1.0", "fails at once, and counts goroutines in its last execution",
		last{}, storm)
}

func register(name string, run func(context.Context, *taskhost.Task) error) {
	taskhost.Register(name, "1.0", "", run)
}

func end(ctx context.Context, task *taskhost.Task, config ending) error {
	if taskhost.Sleep(ctx, config.After) != nil {
		return nil
	}
	switch config.End {
	case "ok":
		return nil
	case "error":
		return errors.New(config.Message)
	case "panic":
		panic(config.Message)
	case "nil":
		followNil()
	case "goexit":
		runtime.Goexit()
	case "long":
		return errors.New(strings.Repeat("long ", 2000))
	}
	return errors.New("no such end")
}

// A processor fault, which Go turns into a panic. Go's text begins with "runtime error", which the tests look for in
// every log, since sanitizers use these words.
func followNil() {
	defer func() {
		if strings.Contains(fmt.Sprint(recover()), "nil pointer dereference") {
			panic("followed nil")
		}
	}()
	var nowhere *ending
	nowhere.Message = "there"
}

func idle(ctx context.Context, task *taskhost.Task) error {
	task.Ready()
	<-ctx.Done()
	task.Log(taskhost.Info, "idle was cancelled")
	return nil
}

// Ignores the stop, and keeps calling after the host has dropped it.
func deaf(ctx context.Context, task *taskhost.Task) error {
	writer := task.Writer(taskhost.Info)
	task.Ready()
	for tries := 0; ; tries++ {
		time.Sleep(time.Millisecond)
		task.Heartbeat()
		task.Ready()
		if _, err := fmt.Fprintln(writer, "deaf was here"); err != nil {
			fmt.Println("deaf was told:", err)
			return errors.New("nobody hears that")
		}
	}
}

// Keeps the host running while deaf calls in vain.
func late(ctx context.Context, task *taskhost.Task) error {
	task.Ready()
	<-ctx.Done()
	time.Sleep(500 * time.Millisecond)
	return nil
}

func busy(ctx context.Context, task *taskhost.Task) error {
	task.Ready()
	for ctx.Err() == nil {
	}
	return nil
}

func prints(ctx context.Context, task *taskhost.Task) error {
	for count := 0; count < 10; count++ {
		_, err := fmt.Println("is anybody there?")
		task.Logf(taskhost.Info, "printing gave %v", err)
	}
	return nil
}

func echo(ctx context.Context, task *taskhost.Task) error {
	task.Logf(taskhost.Info, "%s, execution %d, has %s", task.Name(), task.ExecutionNumber(), task.Config())
	return nil
}

type last struct {
	Execution uint64 `config:"last,required"`
}

func storm(ctx context.Context, task *taskhost.Task, config last) error {
	if task.ExecutionNumber() != config.Execution {
		return errors.New("again")
	}
	time.Sleep(50 * time.Millisecond) // for those that are about to leave
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	task.Logf(taskhost.Info, "goroutines: %d.", runtime.NumGoroutine())
	task.Logf(taskhost.Info, "megabytes: %d.", memory.HeapAlloc>>20)
	return nil
}

// Not called, but a library needs it.
func main() {}
