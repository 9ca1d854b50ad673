// How executions end and are detached: outcomes, the stop, goroutines that outlive their execution. Run it with -race.
package taskhost_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"strings"
	"sync/atomic"
	"taskhost"
	"taskhost/internal/fakehost"
	"testing"
	"time"
)

var (
	goOn  = make(chan struct{}) // for deaf tasks: each value releases one of them
	wrote atomic.Value          // the result of a write after the execution's end
	loud  atomic.Bool           // true as long as the loud tasks should go on
)

func init() {
	register := func(name string, run func(context.Context, *taskhost.Task) error) {
		taskhost.Register(name, "1.0", "for a test", run)
	}
	register("fine", func(ctx context.Context, task *taskhost.Task) error {
		task.Logf(taskhost.Info, "%s %d has %s", task.Name(), task.ExecutionNumber(), task.Config())
		task.Ready()
		task.Heartbeat()
		task.Status("starts")
		task.Status("")
		task.Status("pumps, 1 of 2")
		return nil
	})
	register("reads durations", func(ctx context.Context, task *taskhost.Task) error {
		delay, ok := task.ParseDuration("250ms and more"[:5])
		_, nonsense := task.ParseDuration("soon")
		_, empty := task.ParseDuration("")
		if !ok || delay != 250*time.Millisecond || nonsense || empty {
			return errors.New("reads no durations")
		}
		return nil
	})
	register("fails", func(context.Context, *taskhost.Task) error { return errors.New("the pump is dry") })
	register("fails at length", func(context.Context, *taskhost.Task) error {
		return errors.New(strings.Repeat("x", 10000))
	})
	register("panics", func(context.Context, *taskhost.Task) error { panic("the pump is dry") })
	register("panics with nil", func(context.Context, *taskhost.Task) error { panic(nil) })
	register("follows nil", func(context.Context, *taskhost.Task) error {
		var nowhere *[4]int
		nowhere[2] = 1
		return nil
	})
	register("panics as it tells its error", func(context.Context, *taskhost.Task) error { return evilError{} })
	register("exits", func(context.Context, *taskhost.Task) error {
		runtime.Goexit()
		return nil
	})
	register("obeys", func(ctx context.Context, task *taskhost.Task) error {
		<-ctx.Done()
		return taskhost.Sleep(ctx, time.Hour)
	})
	register("is deaf", func(ctx context.Context, task *taskhost.Task) error {
		writer := task.Writer(taskhost.Info)
		fmt.Fprintln(writer, "deaf")
		<-goOn
		task.Log(taskhost.Info, "too late")
		task.Ready()
		task.Heartbeat()
		task.Status("too late")
		_, err := fmt.Fprintln(writer, "too late")
		wrote.Store(err)
		goOn <- struct{}{}
		return errors.New("too late")
	})
	register("is loud", func(ctx context.Context, task *taskhost.Task) error {
		for loud.Load() {
			task.Log(taskhost.Info, "loud")
			task.Heartbeat()
		}
		return errors.New("loud to the end")
	})
	register("writes", func(ctx context.Context, task *taskhost.Task) error {
		logger := log.New(task.Writer(taskhost.Warning), "pump: ", 0)
		logger.Print("one")
		logger.Print("two\nthree")
		writer := task.Writer(taskhost.Info)
		fmt.Fprint(writer, "begun")
		fmt.Fprint(writer, ", ended\nand not ended")
		return nil
	})
}

type evilError struct{}

func (evilError) Error() string { panic("no words") }

func started(t *testing.T, name string) *fakehost.Execution {
	t.Helper()
	one := fakehost.New(name, `{"a": 1}`)
	if result := one.Start(); result != fakehost.OK {
		t.Fatalf("start of %q gave %d: %s", name, result, one.Failure())
	}
	return one
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("never: " + what)
		}
	}
}

func TestOutcomeIsWhatTheFunctionDoes(t *testing.T) {
	for _, want := range []struct {
		name   string
		result int
		text   string // the beginning of the message
	}{
		{"fine", fakehost.OK, ""},
		{"reads durations", fakehost.OK, ""},
		{"fails", fakehost.Error, "the pump is dry"},
		{"fails at length", fakehost.Error, strings.Repeat("x", 4096)},
		{"panics", fakehost.Panic, "the pump is dry (execution_test.go:"},
		{"panics with nil", fakehost.Panic, "<nil> (execution_test.go:"},
		{"follows nil", fakehost.Panic,
			"runtime error: invalid memory address or nil pointer dereference (execution_test.go:"},
		{"panics as it tells its error", fakehost.Panic, "no words (execution_test.go:"},
		{"exits", fakehost.Error, "its goroutine was ended by runtime.Goexit"},
	} {
		one := started(t, want.name)
		if result := one.Finish(); result != want.result || !strings.HasPrefix(one.Failure(), want.text) {
			t.Errorf("%s: %d, %q", want.name, result, one.Failure())
		}
		one.Drop()
	}
}

func TestServicesReachTheHost(t *testing.T) {
	one := started(t, "fine")
	one.Finish()
	if count, line := one.Logged(); count != 1 || line != `fine 1 has {"a": 1}` {
		t.Error(count, line)
	}
	if one.Ready() != 1 || one.Heartbeats() != 1 || one.Status() != "pumps, 1 of 2" {
		t.Error(one.Ready(), one.Heartbeats(), one.Status())
	}
	one.Drop()
}

func TestLinesOfAWriterAreLinesOfTheLog(t *testing.T) {
	one := started(t, "writes")
	one.Finish()
	if count, line := one.Logged(); count != 4 || line != "begun, ended" {
		t.Error(count, line)
	}
	one.Drop()
}

func TestStopCancelsTheContext(t *testing.T) {
	one := started(t, "obeys")
	if result := one.Poll(); result != fakehost.Pending {
		t.Fatal(result)
	}
	one.Stop()
	if result := one.Finish(); result != fakehost.Error || one.Failure() != context.Canceled.Error() {
		t.Error(result, one.Failure())
	}
	one.Drop()
}

func TestDropCancelsTheContextToo(t *testing.T) {
	before := runtime.NumGoroutine()
	for range [100]int{} {
		started(t, "obeys").Drop()
	}
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestDeafGoroutineTouchesNothingAfterDrop(t *testing.T) {
	one := started(t, "is deaf")
	one.Stop()
	one.Poll()
	eventually(t, "it logs", func() bool { count, _ := one.Logged(); return count == 1 })
	one.Drop()
	goOn <- struct{}{} // fakehost ends the process if it calls a service now
	<-goOn
	eventually(t, "its end", func() bool { return wrote.Load() != nil })
	if wrote.Load() != taskhost.ErrEnded {
		t.Error(wrote.Load())
	}
	if count, line := one.Logged(); count != 1 || line != "deaf" {
		t.Error(count, line)
	}
	if one.Ready() != 0 || one.Failure() != "" || one.Status() != "" {
		t.Error(one.Ready(), one.Failure(), one.Status())
	}
}

func TestDropRacesWithServicesAndWithTheEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	for round := 0; round < 20; round++ {
		loud.Store(true)
		var some []*fakehost.Execution
		for range [8]int{} {
			some = append(some, started(t, "is loud"))
		}
		time.Sleep(time.Duration(round) * 50 * time.Microsecond)
		for index, one := range some {
			if index == round%8 {
				loud.Store(false)
			}
			one.Poll()
			one.Drop() // fakehost ends the process if one of them calls a service from now on
		}
	}
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestThousandsOfExecutionsLeaveNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for range [5000]int{} {
		one := started(t, "fails")
		one.Finish()
		one.Drop()
	}
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}
