-- Makes finished jobs ready for another attempt, or delayed ones due: those with
-- the ids, or a slice of all.
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 "failed", "completed" or "delayed"
--       5 "ids", and the ids from 6 on; or "all", and
--       6 how many jobs at the beginning to pass over
--       7 how many to look at
--       8 the largest score, empty for any
-- Reply  MessagePack values. For ids: a list of those that became ready. For a
--        slice: how many jobs there are, how many to pass over in the next
--        call, 1 if those behind have larger scores, and the list. At the end
--        the parents that could not be told.
-- @include revive

local q, before = operated_queue()
if before then
  return before
end

local source = ARGV[4]
local set = q.base .. source
local revive = source == 'delayed' and promote_job or retry_job

-- chosen returns those of the ids that can become ready, with their fields.
local function chosen(ids)
  local fit, fields, seen = {}, {}, {}
  for _, id in ipairs(ids) do
    if not seen[id] and call('ZSCORE', set, id) then
      local found = revival_fields(q, id)
      if revivable(found) then
        fit[#fit + 1], fields[#fields + 1] = id, found
      end
    end
    seen[id] = true
  end
  return fit, fields
end

-- revive_each makes the jobs ready, and keeps count of those that are.
local function revive_each(ids, fields, count)
  for i, id in ipairs(ids) do
    revive(q, id, fields[i], source)
    count.ready = i
  end
end

-- revive_all makes the jobs ready. If that breaks off, those that are ready are
-- nowhere else.
local function revive_all(ids, fields)
  check_change(q)
  local count = { ready = 0 }
  local ok, err = pcall(revive_each, ids, fields, count)
  if count.ready > 0 then
    local ready = { unpack(ids, 1, count.ready) }
    take_ranked(set, ready)
    base_marker(q)
    if source == 'delayed' then
      try('HDEL', KEYS[3], unpack(ready))
    end
  end
  if not ok then
    error(err, 0)
  end
end

if ARGV[5] == 'ids' then
  local given = {}
  for at = 6, #ARGV do
    given[#given + 1] = ARGV[at]
  end
  local ids, fields = chosen(given)
  if not DRY then
    revive_all(ids, fields)
  end
  return operated(ids, untold)
end

local skip, total, latest = tonumber(ARGV[6]), call('ZCARD', set), tonumber(ARGV[8])
local slice, scores = set_slice(set, skip, tonumber(ARGV[7]))
local last = 0
while latest and slice[1] and scores[#slice] > latest do
  slice[#slice], last = nil, 1
end
local ids, fields = chosen(slice)
if DRY then
  return operated(total, skip + #slice, last, ids, {})
end
revive_all(ids, fields)
return operated(total, skip + #slice - #ids, last, ids, untold)
