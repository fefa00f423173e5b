-- Adds a line to a job's log, or drops lines of it (protocol 2.20).
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 how many lines to keep, the newest; empty for all
--       6 "add", and the line in 7; or "clear"
-- Reply  MessagePack numbers: a code of include/operate.lua, and how many lines
--        there are then
-- @include operate

local q, before = operated_queue()
if before then
  return before
end

local id, keep = ARGV[4], tonumber(ARGV[5])
local key = q.base .. id .. ':logs'
if not is_job(q, id) then
  return operated(NO_JOB, 0)
end
if ARGV[6] == 'add' then
  call('RPUSH', key, ARGV[7])
end
if keep == 0 then
  call('UNLINK', key)
elseif keep then
  call('LTRIM', key, -keep, -1)
end
return operated(DONE, call('LLEN', key))
