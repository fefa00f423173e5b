-- @include queue
-- Handing out jobs (protocol 2.3).

-- One reply carries at most about this many bytes of payload.
local REPLY_MOST = 262144

-- What of a job is handed out at most, in bytes, beside its data and options:
-- more was written to do harm.
local STACKS_MOST, DEFERRED_MOST, NAME_MOST = 262144, 4096, 4096

-- limit_left returns how many jobs the rate limit still lets through, or 0 and
-- for how many ms none.
local function limit_left(q, own_max)
  local key = q.base .. 'limiter'
  local max = q.max or (own_max > 0 and own_max or nil)
  local used = tonumber(call('GET', key))
  if not used then
    return max or math.huge, 0
  end
  -- A limit set by hand counts whether or not there is one otherwise.
  if used < (max or MANUAL_LIMIT) then
    return max and max - used or math.huge, 0
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

-- count_started adds n jobs to the window of the rate limit.
local function count_started(q, n, own_max, own_duration)
  if not q.max and own_max == 0 then
    return
  end
  local key = q.base .. 'limiter'
  if call('INCRBY', key, n) == n then
    call('PEXPIRE', key, own_max > 0 and own_duration or q.duration or 1000)
  end
end

-- pop_ready takes up to n ids off the ready jobs, in the order of their turn.
local function pop_ready(q, n)
  local ids = {}
  while n > #ids do
    local waiting = call('RPOP', q.wait, n - #ids)
    if not waiting then
      break
    end
    for _, id in ipairs(waiting) do
      -- Older versions kept markers among the ids.
      if string.sub(id, 1, 2) ~= '0:' then
        ids[#ids + 1] = id
      end
    end
  end
  if n > #ids then
    local prioritized = call('ZPOPMIN', q.prioritized, n - #ids)
    if #prioritized < 2 * (n - #ids) then
      call('DEL', q.base .. 'pc')
    end
    for i = 1, #prioritized, 2 do
      ids[#ids + 1] = prioritized[i]
    end
  end
  return ids
end

-- What is read of each job that is handed out, and what only of one that was
-- started before.
local function fresh_fields(key)
  return call('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'priority', 'ats', 'rjk', 'defa')
end

local function earlier_fields(key)
  return call('HMGET', key, 'atm', 'attemptsMade', 'stc', 'parked', 'stacktrace')
end

-- cut shortens a field that has more than so many bytes.
local function cut(fields, i, most)
  if fields[i] and #fields[i] > most then
    fields[i] = string.sub(fields[i], 1, most)
  end
end

-- append_lease appends a lease to the reply: the id, and a list of the fresh
-- fields with, for a job that was started before, those of earlier attempts.
-- Data and options that are too large become "large" in the place of the
-- number of starts. It returns the bytes of payload.
local function append_lease(reply, id, key, fields, largest)
  local n = #reply
  reply[n + 1], reply[n + 2] = id, fields
  local size = #(fields[2] or '') + #(fields[3] or '')
  if fields[6] or fields[8] or fields[7] then
    cut(fields, 8, DEFERRED_MOST)
    local earlier = earlier_fields(key)
    if earlier[5] and #earlier[5] > STACKS_MOST then
      earlier[5] = false
    end
    for i = 1, 5 do
      fields[8 + i] = earlier[i]
    end
  end
  if size > largest or (fields[1] and #fields[1] > NAME_MOST) then
    cut(fields, 1, 64)
    fields[2], fields[3], fields[6] = false, false, 'large'
    return 0
  end
  return size
end

-- push_back returns ids that do not fit this reply to where they were taken
-- from.
local function push_back(q, ids, from)
  for i = #ids, from, -1 do
    local id = ids[i]
    local priority = priority_of(q, id)
    if priority > 0 then
      call('ZADD', q.prioritized, priority * CLASS, id)
    else
      call('RPUSH', q.wait, id)
    end
    ids[i] = nil
  end
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

-- start_job leases the job and says so. Without a hash there is nothing to
-- write to: it would make one.
local function start_job(q, id, key, fields, worker)
  call('SET', key .. ':lock', ARGV[4], 'PX', ARGV[5])
  if not (fields[1] or fields[2] or fields[3] or fields[4]) then
    return
  end
  local started = '1'
  if fields[6] then
    started = int_text((tonumber(fields[6]) or 0) + 1)
    fields[6] = started
  end
  call('XADD', q.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  if worker then
    call('HSET', key, 'processedOn', stamp, 'ats', started, 'pb', worker)
  else
    call('HSET', key, 'processedOn', stamp, 'ats', started)
  end
end

-- lease_jobs leases the ids and appends their leases to the reply.
local function lease_jobs(q, ids, reply)
  local base, worker, largest = q.base, ARGV[6] ~= '' and ARGV[6], tonumber(ARGV[8])
  local bytes = 0
  for i = 1, #ids do
    local id = ids[i]
    if bytes > REPLY_MOST then
      push_back(q, ids, i)
      break
    end
    local key = base .. id
    local fields = fresh_fields(key)
    start_job(q, id, key, fields, worker)
    bytes = bytes + append_lease(reply, id, key, fields, largest)
    if fields[12] then
      call('HDEL', KEYS[3], id)
    end
  end
  call('LPUSH', q.active, unpack(ids))
end

-- fetch leases up to ARGV[7] jobs and appends them to the reply. With none,
-- reply[2] says what to wait for.
local function fetch(q, now, reply)
  local want = tonumber(ARGV[7])
  if want == 0 then
    return
  end
  promote_due(q, now)
  local own_max = tonumber(ARGV[9])
  want = allowed(q, want, own_max, reply)
  if want == 0 then
    return
  end
  local ids = pop_ready(q, want)
  if #ids == 0 then
    local first = call('ZRANGE', q.delayed, 0, 0, 'WITHSCORES')
    if first[2] then
      reply[2] = 'd' .. int_text(math.floor(tonumber(first[2]) / SLOTS) - now)
    end
    return
  end
  lease_jobs(q, ids, reply)
  count_started(q, #ids, own_max, tonumber(ARGV[10]))
  if call('EXISTS', q.wait, q.prioritized) > 0 then
    call('ZADD', q.marker, '0', '0')
    reply[2] = 'r'
  end
end

-- repeat_reply gives again the reply to a call that was carried out before:
-- its codes, and those of its leases that last. They are known by their token.
local function repeat_reply(q, record)
  local codes, wait = string.match(record, '^([^\n]*)\n(.*)$')
  local reply, active = { codes, wait }, call('LRANGE', q.active, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local key = q.base .. id
    if call('GET', key .. ':lock') == ARGV[4] then
      append_lease(reply, id, key, fresh_fields(key), tonumber(ARGV[8]))
    end
  end
  return reply
end
