-- Changes when a delayed job is due (protocol 2.12).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 delay in ms, from now on
-- Reply  a MessagePack number: a code of include/operate.lua
-- @include operate

local q, before = operated_queue()
if before then
  return before
end

local id, delay = ARGV[4], tonumber(ARGV[5])
if not is_job(q, id) then
  return operated(NO_JOB)
end
check_change(q)
if call('ZREM', q.delayed, id) == 0 then
  return operated(OTHER_STATE)
end
call('HSET', q.base .. id, 'delay', ARGV[5])
delay_job(q, id, clock_ms() + delay)
delay_marker(q)
-- Whoever says when it is due does not want it parked.
try('HDEL', KEYS[3], id)
return operated(DONE)
