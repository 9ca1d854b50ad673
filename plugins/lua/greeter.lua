-- Says hello repeatedly. Its config, in "args":
--   {"greeting": "hello from Lua", "every": "1s", "times": 0, "end": "ok"}
-- With `times` above 0 it ends after that many, as `end` says: "ok", "error" or "panic".
local options = task.options {greeting = "hello from Lua", every = "1s", times = 0, ["end"] = "ok"}

if options["end"] ~= "ok" and options["end"] ~= "error" and options["end"] ~= "panic" then
  task.fail('config: /args/end: must be "ok", "error" or "panic"')
end
if options.times < 0 then task.fail("config: /args/times: must not be negative") end
local known, every = pcall(task.duration, options.every)
if not known then task.fail('config: /args/every: must be a duration such as "250ms", "10s" or "1.5h"') end

local said = 0
while true do
  task.info(options.greeting)
  task.ready() -- only the first call has an effect
  said = said + 1
  if said == options.times then break end
  task.sleep(every) -- a stop ends it here
end

if options["end"] == "error" then task.fail("was told to fail") end
if options["end"] == "panic" then error("was told to panic") end
