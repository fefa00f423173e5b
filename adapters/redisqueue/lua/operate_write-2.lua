-- Replaces a job's data or progress (protocol 2.20).
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 "data" or "progress"
--       6 the value, as JSON
-- Reply  a MessagePack number: a code of include/operate.lua
-- @include operate

local q, before = operated_queue()
if before then
  return before
end

local id, field, value = ARGV[4], ARGV[5], ARGV[6]
if not is_job(q, id) then
  return operated(NO_JOB)
end
check_change(q)
call('HSET', q.base .. id, field, value)
if field == 'progress' then
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'progress', 'jobId', id, 'data', value)
end
return operated(DONE)
