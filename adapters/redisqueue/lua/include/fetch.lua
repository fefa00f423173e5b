-- @include queue
-- Handing out jobs (protocol 2.3).

-- One reply carries at most about this many bytes of payload.
local REPLY_MOST = 262144

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

-- A job's stack traces and deferred failure are handed out up to so many
-- bytes: what is longer was written to do harm.
local STACKS_MOST, DEFERRED_MOST, NAME_MOST = 262144, 4096, 4096

-- verdict_of says what is wrong with a job: "" when nothing is, "missing" when
-- it has no hash, "nameless" or "large". Fields that are too large are cut.
local function verdict_of(fields, largest)
  if fields[11] and #fields[11] > STACKS_MOST then
    fields[11] = false
  end
  if fields[12] and #fields[12] > DEFERRED_MOST then
    fields[12] = string.sub(fields[12], 1, DEFERRED_MOST)
  end
  if not fields[1] then
    return (fields[2] or fields[3] or fields[4]) and 'nameless' or 'missing'
  end
  if #fields[1] > NAME_MOST or (fields[2] and #fields[2] > largest) or (fields[3] and #fields[3] > largest) then
    fields[1] = string.sub(fields[1], 1, 64)
    fields[2], fields[3] = false, false
    return 'large'
  end
  return ''
end

-- lease_reply returns a lease as MessagePack values: id, verdict, and the
-- fields of the job's hash in the order of job_fields.
local function lease_reply(id, verdict, fields)
  return cmsgpack.pack(id, verdict, unpack(fields, 1, 14))
end

local function job_fields(key)
  return call('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'atm', 'attemptsMade', 'ats', 'stc',
    'stacktrace', 'defa', 'rjk', 'parked')
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

-- start_job leases one job and says so.
local function start_job(q, id, fields, now, worker, token, lease)
  local key = q.base .. id
  call('SET', key .. ':lock', token, 'PX', lease)
  call('XADD', q.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  local started = (tonumber(fields[9]) or 0) + 1
  fields[9] = tostring(started)
  if worker ~= '' then
    call('HSET', key, 'processedOn', now, 'ats', started, 'pb', worker)
  else
    call('HSET', key, 'processedOn', now, 'ats', started)
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

-- lease_jobs leases the ids and appends their leases to the reply.
local function lease_jobs(q, ids, now, reply)
  local largest = tonumber(ARGV[8])
  local bytes = 0
  for i, id in ipairs(ids) do
    if bytes > REPLY_MOST then
      push_back(q, ids, i)
      break
    end
    local fields = job_fields(q.base .. id)
    local verdict = verdict_of(fields, largest)
    if verdict == 'missing' then
      -- No hash: writing to it would make one.
      call('SET', q.base .. id .. ':lock', ARGV[4], 'PX', ARGV[5])
    else
      start_job(q, id, fields, now, ARGV[6], ARGV[4], ARGV[5])
    end
    local packed = lease_reply(id, verdict, fields)
    if fields[14] then
      call('HDEL', KEYS[3], id)
    end
    bytes = bytes + #packed
    reply[#reply + 1] = packed
  end
  call('LPUSH', q.active, unpack(ids))
end

-- fetch leases up to ARGV[7] jobs, appends them to the reply and returns their
-- ids. With none, reply[2] says what to wait for.
local function fetch(q, now, reply)
  local want = tonumber(ARGV[7])
  if want == 0 then
    return {}
  end
  promote_due(q, now)
  want = allowed(q, want, tonumber(ARGV[9]), reply)
  if want == 0 then
    return {}
  end
  local ids = pop_ready(q, want)
  if #ids == 0 then
    local first = call('ZRANGE', q.delayed, 0, 0, 'WITHSCORES')
    if first[2] then
      reply[2] = 'd' .. string.format('%.0f', math.floor(tonumber(first[2]) / SLOTS) - now)
    end
    return ids
  end
  lease_jobs(q, ids, now, reply)
  count_started(q, #ids, tonumber(ARGV[9]), tonumber(ARGV[10]))
  if call('EXISTS', q.wait, q.prioritized) > 0 then
    call('ZADD', q.marker, 0, '0')
    reply[2] = 'r'
  end
  return ids
end

-- repeat_reply gives again the reply to a call that was carried out before:
-- its codes, and its leases as far as they last.
local function repeat_reply(q, record, token, largest)
  local codes, wait, packed = string.match(record, '^([^\n]*)\n([^\n]*)\n(.*)$')
  local reply = { codes, wait }
  for _, id in ipairs(cmsgpack.unpack(packed)) do
    local key = q.base .. id
    if call('GET', key .. ':lock') == token then
      local fields = job_fields(key)
      reply[#reply + 1] = lease_reply(id, verdict_of(fields, largest), fields)
    end
  end
  return reply
end
