-- Removes one job, with those below it or without; not if a worker has one of
-- them, or a job scheduler waits for it (protocol 2.15).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 "1" to remove those below it
-- Reply  a MessagePack number: a code of include/operate.lua
-- @include remove

local q, before = operated_queue()
if before then
  return before
end

local id = ARGV[4]
local key = q.base .. id
if is_scheduled(q.base, id) then
  return operated(SCHEDULED)
elseif call('EXISTS', key .. ':lock') == 1 then
  return operated(LOCKED)
end
local removed, cost, again, locked
if ARGV[5] == '1' then
  removed, cost, again, locked = remove_tree(q, id, clock_ms())
else
  removed = remove_one({ q = q, id = id, key = key }, clock_ms())
end
if locked then
  return operated(LOCKED)
elseif again then
  return operated(AGAIN)
elseif not removed then
  return operated(NO_JOB)
end
call('HDEL', KEYS[3], id)
return operated(DONE)
