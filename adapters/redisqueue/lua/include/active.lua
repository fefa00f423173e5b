-- @include queue
-- Taking jobs out of the list of those under way. They end about in the order
-- in which they began, so they are near its tail.

-- put_back puts the first n of the popped ids back where they were.
local function put_back(q, ids, n)
  for i = 1, math.floor(n / 2) do
    ids[i], ids[n - i + 1] = ids[n - i + 1], ids[i]
  end
  if n > 0 then
    call('RPUSH', q.active, unpack(ids, 1, n))
  end
end

-- How many jobs are fewer than it pays to pop the tail for.
local FEW = 4

-- take_active removes from the active list the ids that are true in the set,
-- count of them, and makes those false that were there. As many are popped, at
-- most twice, and those that go on are put back.
local function take_active(q, wanted, count)
  if count >= FEW then
    local kept, n, left = {}, 0, count
    for _ = 1, 2 do
      local tail = call('RPOP', q.active, count) or {}
      for i = 1, #tail do
        local id = tail[i]
        if wanted[id] then
          wanted[id] = false
          left = left - 1
        else
          n = n + 1
          kept[n] = id
        end
      end
      if left == 0 or #tail < count then
        break
      end
    end
    put_back(q, kept, n)
    if left == 0 then
      return
    end
  end
  for id, missing in pairs(wanted) do
    if missing and call('LREM', q.active, -1, id) == 1 then
      wanted[id] = false
    end
  end
end

-- take_in_order removes ids, count of them, that are in the order in which they
-- were leased: it needs no set, and finds those out of order one by one. It
-- returns the set of those that were not there, nil if all were.
local function take_in_order(q, ids, count)
  local next_id = 1
  if count >= FEW then
    local kept, n = {}, 0
    for _ = 1, 2 do
      local tail = call('RPOP', q.active, count) or {}
      for i = 1, #tail do
        local id = tail[i]
        if id == ids[next_id] then
          next_id = next_id + 1
        else
          n = n + 1
          kept[n] = id
        end
      end
      if next_id > count or #tail < count then
        break
      end
    end
    put_back(q, kept, n)
  end
  local missing
  for i = next_id, count do
    if call('LREM', q.active, '-1', ids[i]) == 0 then
      missing = missing or {}
      missing[ids[i]] = true
    end
  end
  return missing
end
