-- @include queue
-- The list of jobs under way.

-- take_active removes from the active list the ids that are true in the set,
-- count of them, and makes those false that were there. It returns whether all
-- were. Jobs end about in the order in which they began, so they are near the
-- tail: as many are popped there, at most twice, and those that go on are put
-- back.
local function take_active(q, wanted, count)
  local left = count
  if count > 3 then
    local kept, n = {}, 0
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
    for i = 1, math.floor(n / 2) do
      kept[i], kept[n - i + 1] = kept[n - i + 1], kept[i]
    end
    if n > 0 then
      call('RPUSH', q.active, unpack(kept))
    end
    if left == 0 then
      return true
    end
  end
  for id, missing in pairs(wanted) do
    if missing and call('LREM', q.active, -1, id) == 1 then
      wanted[id] = false
      left = left - 1
    end
  end
  return left == 0
end
