-- Removes those of the jobs that are in none of the queue's lists and sets. A
-- job that a worker has, or what is no job, stays.
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 to 3 as in include/operate.lua
--       4 how many jobs to remove at most
--       then the ids
-- Reply  MessagePack values: how many of the ids are dealt with, and a list of
--        those that were removed. The next ones are for another call.
-- @include remove

local q, before = operated_queue()
if before then
  return before
end

-- is_orphan tells whether the job is nowhere, and what it cost to know.
local function is_orphan(id)
  if is_reserved(id) or string.find(id, ':', 1, true) or find_set(q.base, id) or call('EXISTS', q.base .. id .. ':lock') == 1 then
    return false, 1
  end
  local list, looked = in_lists(q.base, id, find_listed)
  return list == nil, looked + 1
end

local function remove(id)
  local fields = look_at(q, id, 'deid')
  if fields.foreign then
    return false
  end
  local list = {}
  job_keys(list, q.base .. id)
  if DRY then
    return call('EXISTS', unpack(list)) > 0
  end
  drop_dedup(q, id, fields[2])
  return call('UNLINK', unpack(list)) > 0
end

local most, work, handled, removed = tonumber(ARGV[4]), 0, 0, {}
for at = 5, #ARGV do
  local orphan, cost = is_orphan(ARGV[at])
  if orphan and remove(ARGV[at]) then
    removed[#removed + 1] = ARGV[at]
  end
  handled, work = handled + 1, work + cost
  if work > WORK_MOST or #removed == most then
    break
  end
end
return operated(handled, removed)
