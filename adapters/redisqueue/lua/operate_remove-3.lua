-- Removes jobs by id, with their children; not those that are being worked,
-- whose children are, or that a job scheduler waits for (protocol 2.15).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
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

-- would_remove is remove_tree for a dry run.
local function would_remove(id)
  if tree_of(q, id).locked then
    return false, 1
  end
  if call('EXISTS', q.base .. id) == 1 then
    if owns_keys(q, id, look_at(q, id).foreign) then
      return true, 1
    end
  end
  if find_set(q.base, id) then
    return true, 1
  end
  local list, looked = in_lists(q.base, id, find_listed)
  return list ~= nil, looked
end

local now = clock_ms()
local most, work, handled = tonumber(ARGV[4]), 0, 0
local ids = {}
for at = 5, #ARGV do
  local id = ARGV[at]
  local removed, cost, again = false, 1, false
  if not is_scheduled(q.base, id) and call('EXISTS', q.base .. id .. ':lock') == 0 then
    if DRY then
      removed, cost = would_remove(id)
    else
      removed, cost, again = remove_tree(q, id, now)
    end
  end
  if again then
    break
  end
  handled, work = handled + 1, work + cost
  if removed then
    ids[#ids + 1] = id
  end
  if work > WORK_MOST or #ids == most then
    break
  end
end
if #ids > 0 and not DRY then
  call('HDEL', KEYS[3], unpack(ids))
end
return operated(handled, ids)
