-- Pauses or resumes a queue (protocol 2.11, 6.2). Ready jobs end up in one
-- list; what was in both is moved a part at a time, while the queue is paused.
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 to 3 as in include/operate.lua
--       4 "pause" or "resume"
--       5 how many ids to move at most
-- Reply  a MessagePack number: 1 if the call is to be made again
-- @include operate

local q, before = operated_queue()
if before then
  return before
end

local paused = q.base .. 'paused'

-- What is no list stops the call before anything changes.
check_change(q)
ask('LLEN', q.wait)
ask('LLEN', paused)

local function has(list)
  return call('LLEN', list) > 0
end

-- gather moves ids of wait behind those of paused, as those that came later,
-- and tells whether all of them are there.
local function gather(most)
  local ids = call('LRANGE', q.wait, -most, -1)
  for i = 1, math.floor(#ids / 2) do
    ids[i], ids[#ids - i + 1] = ids[#ids - i + 1], ids[i]
  end
  call('LPUSH', paused, unpack(ids))
  call('LTRIM', q.wait, 0, -#ids - 1)
  return not has(q.wait)
end

-- one_list brings all ready jobs together under the name; false if some are
-- left for another call.
local function one_list(name, most)
  local waiting, set_aside = has(q.wait), has(paused)
  if waiting and set_aside then
    if not gather(most) then
      return false
    end
    waiting = false
  end
  if name == q.wait and set_aside then
    call('RENAME', paused, q.wait)
  elseif name == paused and waiting then
    call('RENAME', q.wait, paused)
  end
  return true
end

local function pause(most)
  if not q.paused then
    call('HSET', q.base .. 'meta', 'paused', 1)
    call('DEL', q.marker)
    call('XADD', q.events, '*', 'event', 'paused')
  end
  return one_list(q.profile == 'v6' and q.wait or paused, most)
end

local function resume(most)
  if not one_list(q.wait, most) then
    return false
  end
  local was_paused = q.paused
  call('HDEL', q.base .. 'meta', 'paused')
  q.paused = false
  if call('EXISTS', q.wait, q.prioritized) > 0 then
    base_marker(q)
  else
    delay_marker(q)
  end
  if was_paused then
    call('XADD', q.events, '*', 'event', 'resumed')
  end
  return true
end

local step = ARGV[4] == 'pause' and pause or resume
return operated(step(tonumber(ARGV[5])) and 0 or 1)
