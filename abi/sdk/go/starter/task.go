// @NAME@: greets at an interval, until it is stopped or has greeted "times" times.
package main

import (
	"context"
	"errors"
	"taskhost"
	"time"
)

type config struct {
	Greeting string        `config:"greeting"`
	Every    time.Duration `config:"every"`
	Times    int64         `config:"times" min:"0"` // 0: unlimited
	End      string        `config:"end"`
}

var defaults = config{Greeting: "hello from Go", Every: time.Second, End: "ok"}

// Check checks what types and tags cannot express; the host has already checked those. It is called before each
// execution, by `taskhost check`, and before the host starts.
func (config *config) Check() error {
	switch config.End {
	case "ok", "error", "panic":
		return nil
	}
	return errors.New(`config: /end: must be "ok", "error" or "panic"`)
}

func init() {
	taskhost.RegisterWithConfig("@NAME@", "1.0", "greets at an interval", defaults, greet)
}

// One execution: a goroutine. ctx is cancelled when the host asks it to end.
func greet(ctx context.Context, task *taskhost.Task, config config) error {
	for done := int64(1); ; done++ {
		task.Log(taskhost.Info, config.Greeting)
		task.Ready()
		if done == config.Times {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(config.Every):
		}
	}
	switch config.End {
	case "error":
		return errors.New("was told to fail")
	case "panic":
		panic("was told to panic")
	}
	return nil
}

// Never called, but a library needs one.
func main() {}
