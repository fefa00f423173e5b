-- Removes a slice of the jobs of one list or sorted set, as a drain or clean
-- does (protocol 2.15).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 name of the list or set
--       5 which: "parked", "delayed" for those that are not, empty for all
--       6 the least age in ms, empty for any
--       7 how many jobs at the beginning to pass over
--       8 how many to look at
--       9 how many to remove at most
-- Reply  MessagePack values: how many jobs there are, how many to pass over in
--        the next call, 1 if those behind are all too young, a list of the ids
--        that were removed, and the parents that could not be told
-- @include slices

local q, before = operated_queue()
if before then
  return before
end

local now = clock_ms()
local place, which = ARGV[4], ARGV[5]
local key = q.base .. place
local in_list = place == 'wait' or place == 'paused' or place == 'active'
local finished = place == 'completed' or place == 'failed'
local cut = tonumber(ARGV[6]) and now - tonumber(ARGV[6])
local skip, most = tonumber(ARGV[7]), tonumber(ARGV[9])

-- It fails here if a key is something else that a drain comes to after this one.
ask('LLEN', q.wait)
ask('LLEN', q.base .. 'paused')
ask('ZCARD', q.prioritized)
ask('ZCARD', q.delayed)

-- is_old tells whether a job is old enough to be removed. Its time is when it
-- ended, began or came, whichever is known.
local function is_old(fields)
  if not cut then
    return true
  end
  local at = tonumber(fields[1])
  if place == 'delayed' or in_list then
    at = tonumber(fields[4]) or at
  end
  if in_list then
    at = tonumber(fields[5]) or at
  end
  return not at or at <= cut
end

local function is_wanted(id, fields)
  if not finished and is_scheduled(q.base, id) then
    return false
  end
  if place == 'active' and call('EXISTS', q.base .. id .. ':lock') == 1 then
    return false
  end
  if which ~= '' and (call('HEXISTS', KEYS[3], id) == 1) ~= (which == 'parked') then
    return false
  end
  return finished or is_old(fields)
end

-- chosen returns the positions of the jobs to remove, and their fields.
local function chosen(ids, scores)
  local positions, found, looked = {}, {}, 0
  for i, id in ipairs(ids) do
    if finished and cut and scores[i] > cut then
      return positions, found, looked, 1
    elseif #positions == most then
      break
    end
    looked = i
    local fields = look_at(q, id, 'parentKey', 'deid', 'processedOn', 'finishedOn')
    if is_wanted(id, fields) then
      positions[#positions + 1], found[#found + 1] = i, fields
    end
  end
  return positions, found, looked, 0
end

local total = in_list and call('LLEN', key) or call('ZCARD', key)
local slice, scores
if in_list then
  slice = list_slice(key, skip, tonumber(ARGV[8]))
else
  slice, scores = set_slice(key, skip, tonumber(ARGV[8]))
end
local positions, found, looked, young = chosen(slice, scores)
local ids = {}
for i, position in ipairs(positions) do
  ids[i] = slice[position]
end
if DRY then
  return operated(total, skip + looked, young, ids, {})
end
if in_list then
  take_listed(key, skip, positions)
else
  take_ranked(key, ids)
end
remove_jobs(q, ids, found, now)
if place == 'delayed' and #ids > 0 then
  try('HDEL', KEYS[3], unpack(ids))
end
return operated(total, skip + looked - #ids, young, ids, untold)
