# Says hello repeatedly. Its config, in "args":
#   {"greeting": "hello from Python", "every": "1s", "times": 0, "end": "ok"}
# With `times` above 0 it ends after that many, as `end` says: "ok", "error" or "panic".
options = task.options(greeting="hello from Python", every="1s", times=0, end="ok")

if options.end not in ("ok", "error", "panic"):
    raise task.Failure('config: /args/end: must be "ok", "error" or "panic"')
if options.times < 0:
    raise task.Failure("config: /args/times: must not be negative")
try:
    every = task.duration(options.every)
except ValueError as error:
    raise task.Failure(f"config: /args/every: {error}")

said = 0
while True:
    task.info(options.greeting)
    task.ready()  # only the first call has an effect
    said += 1
    if said == options.times:
        break
    task.sleep(every)  # a stop ends it here

if options.end == "error":
    raise task.Failure("was told to fail")
if options.end == "panic":
    raise RuntimeError("was told to panic")
