-- Changes a job's priority (protocol 2.12).
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 priority, 0 for none
--       6 "1" to put it in front of its class
-- Reply  a MessagePack number: a code of include/operate.lua
-- @include operate

local q, before = operated_queue()
if before then
  return before
end

local id, priority, lifo = ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
if not is_job(q, id) then
  return operated(NO_JOB)
end
check_change(q)

local function take_ready()
  return call('ZREM', q.prioritized, id) == 1 or call('LREM', q.wait, -1, id) == 1 or call('LREM', q.base .. 'paused', -1, id) == 1
end

if take_ready() then
  if priority > 0 and lifo then
    call('ZADD', q.prioritized, string.format('%.0f', priority * CLASS), id)
  else
    line_up(q, id, priority, lifo and 'RPUSH' or 'LPUSH')
    base_marker(q)
  end
end
call('HSET', q.base .. id, 'priority', ARGV[5])
return operated(DONE)
