-- Removes one job, with those below it or without; not if a worker has one of
-- them, or a job scheduler waits for it (protocol 2.15).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 "1" to remove those below it
-- Reply  MessagePack values: a code of include/operate.lua, and a list of the
--        keys of the jobs that are gone if the call is to be made again
-- @include remove

local q, before = operated_queue()
if before then
  return before
end

local id = ARGV[4]
local job = { q = q, id = id, key = q.base .. id }
if is_scheduled(q.base, id) then
  return operated(SCHEDULED, {})
elseif has_lock(job.key) then
  return operated(LOCKED, {})
end
local pass = { gone = {} }
if ARGV[5] == '1' then
  pass = remove_tree(q, id, clock_ms())
else
  check_places(q)
  check_parent(q, id)
  pass.removed = remove_one(job, clock_ms())
end
if pass.locked then
  return operated(LOCKED, {})
elseif pass.again then
  return operated(AGAIN, pass.gone)
elseif not pass.removed then
  return operated(NO_JOB, {})
end
try('HDEL', KEYS[3], id)
return operated(DONE, {})
