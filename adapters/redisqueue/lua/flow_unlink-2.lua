-- Takes a job away from its parent, which does not wait for it any more
-- (protocol 2.16, remove a child's link).
--
-- KEYS  1 the session's record
--       2 the job
-- ARGV  1 to 3 as in include/operate.lua
--       4 id of the job
-- Reply  a MessagePack value: 1 if the parent waited for it, 0 if not, NO_JOB or
--        NO_PARENT
-- @include operate

local NO_JOB, NO_PARENT = 11, 15

local q, before = operated_queue()
if before then
  return before
end

local function unlink()
  local key = q.base .. ARGV[4]
  if ask('HLEN', key) == 0 then
    return NO_JOB
  end
  local parent_key = call('HGET', key, 'parentKey')
  if not parent_key then
    return 0
  end
  local pq, parent = parent_of(q, parent_key)
  if not pq or call('EXISTS', parent_key) == 0 then
    return NO_PARENT
  end
  if ask('SISMEMBER', parent_key .. ':dependencies', key) == 0 then
    return 0
  end
  unlink_child(q, key, parent_key, clock_ms(), false)
  call('HDEL', key, 'parentKey', 'parent')
  return 1
end

return operated(unlink())
