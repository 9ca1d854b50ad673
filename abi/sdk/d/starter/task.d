/// @NAME@: greets at an interval, until it is stopped or has greeted "times" times.
module task;

import core.time : Duration, seconds;
import taskhost;

/// One execution.
final class Greeter
{
    private Execution execution;
    private const(char)[] greeting;
    private const(char)[] end;
    private Duration every;
    private long times; // 0: unlimited
    private long done;
    private Time next; // time of the next greeting

    this(Execution execution)
    {
        this.execution = execution;
        const config = execution.config("greeting every times end");
        greeting = config.text("/greeting", "hello from D");
        every = config.duration("/every", 1.seconds);
        times = config.integer("/times", 0, 0, long.max);
        end = config.text("/end", "ok");
        if (end != "ok" && end != "error" && end != "panic")
            throw new Failure(`config: /end: must be "ok", "error" or "panic"`);
    }

    /// Called before the host starts, and by `taskhost check`: throws if no execution could live with the config.
    static void check(Execution execution)
    {
        new Greeter(execution);
    }

    /// Called once after the start, then after each wake: by the timer, by the stop, or for no reason at all.
    Poll poll()
    {
        if (execution.stopRequested)
            return Poll.done;
        const now = execution.now;
        if (now >= next)
        {
            execution.info(greeting);
            execution.ready();
            if (++done == times)
                return lastOne();
            next = now + every;
        }
        execution.wakeAt(next);
        return Poll.pending;
    }

    private Poll lastOne()
    {
        if (end == "error")
            throw new Failure("was told to fail");
        if (end == "panic")
            throw new Exception("was told to panic");
        return Poll.done;
    }
}

mixin TaskhostPlugin!(Task!(Greeter, "@NAME@", "1.0", "greets at an interval"));
