-- @include operate
-- Going through the jobs of a list or sorted set, a slice a call. A walk says
-- how many entries at its beginning it passes over: those that earlier slices
-- have left where they are, or, in a dry run, all that they have seen.

-- list_slice returns up to count ids of a list behind the first skip ones,
-- whoever is next in line first.
local function list_slice(key, skip, count)
  local ids = call('LRANGE', key, -skip - count, -skip - 1)
  for i = 1, math.floor(#ids / 2) do
    ids[i], ids[#ids - i + 1] = ids[#ids - i + 1], ids[i]
  end
  return ids
end

-- set_slice returns up to count ids of a sorted set behind the first skip
-- ones, and their scores.
local function set_slice(key, skip, count)
  local flat = call('ZRANGE', key, skip, skip + count - 1, 'WITHSCORES')
  local ids, scores = {}, {}
  for i = 1, #flat, 2 do
    ids[#ids + 1], scores[#scores + 1] = flat[i], tonumber(flat[i + 1])
  end
  return ids, scores
end

-- What stands for an entry until it is gone; workers pass over ids like it.
local TAKEN = '0:taken'

-- take_listed takes the entries out of a list whose positions in the slice
-- behind skip are in taken. Searching for their values could take others.
local function take_listed(key, skip, taken)
  if skip == 0 and taken[#taken] == #taken then
    -- No gaps.
    call('LTRIM', key, 0, -#taken - 1)
    return
  end
  for _, position in ipairs(taken) do
    call('LSET', key, -skip - position, TAKEN)
  end
  if #taken > 0 then
    -- From the nearer end.
    local from_head = 2 * skip > call('LLEN', key)
    call('LREM', key, from_head and #taken or -#taken, TAKEN)
  end
end

-- take_ranked takes the ids out of a sorted set.
local function take_ranked(key, ids)
  for from = 1, #ids, 5000 do
    call('ZREM', key, unpack(ids, from, math.min(from + 4999, #ids)))
  end
end

-- remove_jobs deletes jobs that were taken out of where they were; hard, as
-- operations by hand do. found has for each what look_at reads of parentKey and
-- deid.
local function remove_jobs(q, ids, found, now)
  local list = {}
  for i, id in ipairs(ids) do
    local fields = found[i]
    if fields[2] then
      tell_above(fields[2], q.base .. id, unlink_child, q, q.base .. id, fields[2], now, true)
    end
    drop_dedup(q, id, fields[3])
    if owns_keys(q, id, fields.foreign) then
      job_keys(list, q.base .. id)
    end
  end
  delete_keys(list)
end
