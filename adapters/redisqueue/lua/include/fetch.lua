-- @include lease
-- Handing out jobs (protocol 2.3).

-- limit_left returns how many jobs the rate limit still lets through, or 0 and
-- for how many ms none. One of less than a job lets one through, as a window
-- begins with its first job.
local function limit_left(q, own_max)
  local key = q.base .. 'limiter'
  local max = q.max or (own_max > 0 and own_max or nil)
  max = max and math.max(max, 1)
  local used = tonumber(ask('GET', key))
  if not used then
    return max or math.huge, 0
  end
  -- A limit set by hand counts whether or not there is one otherwise.
  if used < (max or MANUAL_LIMIT) then
    return max and math.ceil(max - used) or math.huge, 0
  end
  local ttl = call('PTTL', key)
  if ttl > 0 then
    return 0, ttl
  end
  if ttl == 0 then
    call('DEL', key)
  end
  return max or math.huge, 0
end

-- The longest window of a rate limit, in ms, and the one where a queue says
-- none.
local WINDOW_MOST, WINDOW = 8796093022208, 1000

-- window_of returns the window in whole ms: anybody may have written anything.
local function window_of(q, own_max, own_duration)
  local duration = own_max > 0 and own_duration or q.duration
  if not duration or duration ~= duration then
    return WINDOW
  end
  return math.floor(math.min(math.max(duration, 1), WINDOW_MOST))
end

-- count_started adds n jobs to the window of the rate limit.
local function count_started(q, n, own_max, own_duration)
  if n == 0 or (not q.max and own_max == 0) then
    return
  end
  local key = q.base .. 'limiter'
  local started = try('INCRBY', key, n)
  if type(started) ~= 'number' then
    -- It was no number, and the jobs are leased already.
    call('SET', key, n)
    started = n
  end
  if started == n then
    call('PEXPIRE', key, int_text(window_of(q, own_max, own_duration)))
  end
end

-- drop_markers takes more ids off the ready jobs in the place of those that are
-- none.
local function drop_markers(q, popped, n)
  local ids = {}
  while popped do
    for _, id in ipairs(popped) do
      if string.sub(id, 1, 2) ~= '0:' then
        ids[#ids + 1] = id
      end
    end
    popped = #ids < n and call('RPOP', q.wait, n - #ids)
  end
  return ids
end

-- pop_ready takes up to n ids off the ready jobs, in the order of their turn,
-- and returns how many of them have no priority.
local function pop_ready(q, n)
  local ids = call('RPOP', q.wait, n) or {}
  -- Older versions kept markers among the ids.
  if string.find('\n' .. table.concat(ids, '\n'), '\n0:', 1, true) then
    ids = drop_markers(q, ids, n)
  end
  local found = #ids
  if n > found then
    local prioritized = try('ZPOPMIN', q.prioritized, n - found)
    if prioritized.err then
      -- Something else is in its place: the next call says so, which takes no
      -- other jobs.
      prioritized = found > 0 and {} or call('ZCARD', q.prioritized)
    elseif #prioritized < 2 * (n - found) then
      call('DEL', q.base .. 'pc')
    end
    for i = 1, #prioritized, 2 do
      ids[#ids + 1] = prioritized[i]
    end
  end
  return ids, found
end

-- allowed returns how many jobs may be handed out now, and tells in the reply
-- what to wait for if none.
local function allowed(q, want, own_max, reply)
  local left, ttl = limit_left(q, own_max)
  if left == 0 then
    reply[2] = 'l' .. ttl
    return 0
  end
  if q.paused then
    reply[2] = 'b'
    return 0
  end
  want = math.min(want, left)
  if q.concurrency then
    want = math.min(want, q.concurrency - call('LLEN', q.active))
    if want <= 0 then
      reply[2] = 'b'
      return 0
    end
  end
  return want
end

-- lease_or_leave leases the ids; when that fails, because a key of the queue is
-- something else, the jobs go back. It returns what lease_jobs does.
local function lease_or_leave(q, ids, unprioritized, reply)
  local ok, counted = pcall(lease_jobs, q, ids, unprioritized, reply)
  if not ok then
    for _, id in ipairs(ids) do
      call('DEL', q.base .. id .. ':lock')
    end
    push_back(q, ids, 1)
    error(counted, 0)
  end
  return counted
end

-- fetch leases up to ARGV[7] jobs and appends them to the reply. reply[2] says
-- what to wait for.
local function fetch(q, now, reply)
  local want = tonumber(ARGV[7])
  if want == 0 then
    return
  end
  local due = promote_due(q, now)
  local own_max = tonumber(ARGV[9])
  want = allowed(q, want, own_max, reply)
  if want == 0 then
    return
  end
  local ids, unprioritized = pop_ready(q, want)
  local popped = #ids
  if popped > 0 then
    count_started(q, lease_or_leave(q, ids, unprioritized, reply), own_max, tonumber(ARGV[10]))
  end
  if popped < want and #ids == popped then
    reply[2] = due and 'd' .. int_text(due - now) or 'e'
  elseif call('EXISTS', q.wait, q.prioritized) > 0 then
    try('ZADD', q.marker, '0', '0')
    reply[2] = 'r'
  end
end

-- repeat_reply gives again the reply to a call that was carried out before:
-- its codes, and those of its leases that last. They are known by their token.
local function repeat_reply(q, codes)
  local reply, active = { codes, 'n' }, call('LRANGE', q.active, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local key = q.base .. id
    -- The lock may be something else, and then not of this call.
    if try('GET', key .. ':lock') == ARGV[4] then
      reply[#reply + 1] = lease_of(id, all_fields(id, key), tonumber(ARGV[8]))
    end
  end
  return reply
end
