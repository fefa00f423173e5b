-- Makes one finished job ready for another attempt, or a delayed one due
-- (protocol 2.12, 2.13).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 id
--       5 "failed", "completed" or "delayed"
--       6 "1" to forget the attempts made
--       7 "1" to forget how often it was begun
-- Reply  MessagePack values: a code of include/operate.lua, and the parents that
--        could not be told
-- @include revive

local q, before = operated_queue()
if before then
  return before
end

local id, source = ARGV[4], ARGV[5]
local fields = revival_fields(q, id)
if not revivable(fields) or is_reserved(id) then
  return operated(NO_JOB, {})
end
check_change(q)
if not call('ZSCORE', q.base .. source, id) then
  return operated(OTHER_STATE, {})
end
if ARGV[6] == '1' then
  call('HDEL', q.base .. id, 'atm', 'attemptsMade')
end
if ARGV[7] == '1' then
  call('HDEL', q.base .. id, 'ats')
end
if source == 'delayed' then
  promote_job(q, id, fields)
  try('HDEL', KEYS[3], id)
else
  retry_job(q, id, fields, source)
end
call('ZREM', q.base .. source, id)
base_marker(q)
return operated(DONE, untold)
