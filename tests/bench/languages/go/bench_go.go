// The bench's tasks in Go, as small as possible. The C counterparts are in c/bench_c.c.
package main

import (
	"context"
	"runtime"
	"taskhost"
)

type config struct {
	Turns int64 `config:"turns,required" min:"0"`
}

func init() {
	taskhost.RegisterWithConfig("yielder", "1.0", "gives way as often as its config says", config{}, giveWay)
	taskhost.Register("sleeper", "1.0", "waits for the stop", sleep)
}

// A goroutine yields to others within Go, without the host.
func giveWay(_ context.Context, _ *taskhost.Task, config config) error {
	for turn := int64(0); turn < config.Turns; turn++ {
		runtime.Gosched()
	}
	return nil
}

func sleep(ctx context.Context, _ *taskhost.Task) error {
	<-ctx.Done()
	return nil
}

func main() {}
