-- Removes a job scheduler, and its next run if that is delayed (protocol
-- 2.18, remove).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 Q:repeat
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       3 profile
--       4 id of the scheduler
-- Reply  a MessagePack number: 1 if there was one
-- @include session
-- @include schedule
-- @include flow

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return before or overtaken
end

local q = queue_of(ARGV[2], ARGV[3])
local scheduler = ARGV[4]
ask('ZCARD', q.delayed)
ask('XLEN', q.events)
check_scheduler(q, scheduler)

local function remove()
  local planned = call('ZSCORE', KEYS[3], scheduler)
  if not planned then
    return 0
  end
  local run = run_id(scheduler, tonumber(planned))
  if call('ZREM', q.delayed, run) == 1 then
    local list = {}
    job_keys(list, q.base .. run)
    delete_keys(list)
    call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'removed', 'jobId', run, 'prev', 'delayed')
  end
  call('ZREM', KEYS[3], scheduler)
  call('DEL', q.base .. 'repeat:' .. scheduler)
  return 1
end

local reply = cmsgpack.pack(remove())
session_record(KEYS[1], ARGV[1], reply)
return reply
