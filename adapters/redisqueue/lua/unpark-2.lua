-- Makes parked jobs due whose handler has come (protocol 2.12, promote).
-- Repeating it does no harm.
--
-- KEYS  1 Q:meta
--       2 the names of parked jobs by id
-- ARGV  1 base of the queue's keys
--       2 profile
--       then the ids
-- Reply  how many were made due
-- @include queue

local q = queue_of(ARGV[1], ARGV[2])
check_queue(q)
local count = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  if call('ZSCORE', q.delayed, id) then
    count = count + 1
    line_up(q, id, priority_of(q, id), 'LPUSH')
    call('ZREM', q.delayed, id)
    waiting_event(q, id, 'delayed')
    redis.pcall('HSET', q.base .. id, 'delay', 0)
  end
  try('HDEL', KEYS[2], id)
end
if count > 0 then
  base_marker(q)
end
return count
