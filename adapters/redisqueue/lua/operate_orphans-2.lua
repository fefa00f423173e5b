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

-- What a job has beside its hash, and of which type. Another queue may have
-- something else there: its failed jobs, where a prefix has a colon.
local BESIDE = { logs = 'list', dependencies = 'set', processed = 'hash', failed = 'hash', unsuccessful = 'zset' }

-- keys_of returns the keys of the job; none if what is there under its name is
-- no job.
local function keys_of(id, fields)
  local key, keys = q.base .. id, {}
  if fields[1] or fields[2] then
    keys[1] = key
  elseif fields.foreign or call('EXISTS', key) == 1 then
    return keys
  end
  for name, kind in pairs(BESIDE) do
    if call('TYPE', key .. ':' .. name).ok == kind then
      keys[#keys + 1] = key .. ':' .. name
    end
  end
  return keys
end

-- remove removes the job, and tells whether there was one.
local function remove(id)
  local fields = look_at(q, id, 'name', 'deid')
  local keys = keys_of(id, fields)
  if #keys == 0 or DRY then
    return #keys > 0
  end
  drop_dedup(q, id, fields[3])
  return call('UNLINK', unpack(keys)) > 0
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
