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
--        those that were removed; 1 if removing the next one is begun, which is
--        more than one call can do, and the keys of the jobs that are gone. The
--        ids after that are for another call.
-- @include remove

local q, before = operated_queue()
if before then
  return before
end

-- would_remove is remove_tree for a dry run.
local function would_remove(id)
  local tree = tree_of(q, id)
  local work = LOOK_WORK * #tree
  if tree.locked then
    return false, work
  elseif is_job(q, id) or find_set(q.base, id) then
    return true, work
  end
  local list, looked = in_lists(q.base, id, find_listed)
  return list ~= nil, work + looked
end

local now = clock_ms()
local most, work, handled = tonumber(ARGV[4]), 0, 0
local ids = {}
local begun, gone = 0, {}

-- remove removes the job if it may, and tells whether it did.
local function remove(id)
  work = work + LOOK_WORK
  if is_scheduled(q.base, id) or has_lock(q.base .. id) then
    return false
  elseif DRY then
    local removed, cost = would_remove(id)
    work = work + cost
    return removed
  end
  local pass = remove_tree(q, id, now)
  work = work + pass.work
  if pass.again then
    begun, gone = 1, pass.gone
  end
  return pass.removed
end

for at = 5, #ARGV do
  local ok, removed = pcall(remove, ARGV[at])
  if not ok and handled == 0 then
    error(removed, 0)
  elseif not ok or begun == 1 then
    -- What is removed already is answered first.
    break
  end
  handled = handled + 1
  if removed then
    ids[#ids + 1] = ARGV[at]
  end
  if work > WORK_MOST or #ids == most then
    break
  end
end
if #ids > 0 and not DRY then
  try('HDEL', KEYS[3], unpack(ids))
end
return operated(handled, ids, begun, gone)
