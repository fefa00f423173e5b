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
  if n == 0 or (not q.max and own_max == 0) then
    return
  end
  local key = q.base .. 'limiter'
  local started = redis.pcall('INCRBY', key, n)
  if type(started) ~= 'number' then
    -- It was no number, and the jobs are leased already.
    call('SET', key, n)
    started = n
  end
  if started == n then
    call('PEXPIRE', key, own_max > 0 and own_duration or q.duration or 1000)
  end
end

local byte, ZERO, COLON = string.byte, 48, 58

-- pop_ready takes up to n ids off the ready jobs, in the order of their turn,
-- and returns how many of them have no priority.
local function pop_ready(q, n)
  local ids, found = {}, 0
  while n > found do
    local waiting = call('RPOP', q.wait, n - found)
    if not waiting then
      break
    end
    for i = 1, #waiting do
      local id = waiting[i]
      -- Older versions kept markers among the ids.
      if byte(id, 2) ~= COLON or byte(id, 1) ~= ZERO then
        found = found + 1
        ids[found] = id
      end
    end
  end
  if n > found then
    local prioritized = call('ZPOPMIN', q.prioritized, n - found)
    if #prioritized < 2 * (n - found) then
      call('DEL', q.base .. 'pc')
    end
    for i = 1, #prioritized, 2 do
      ids[#ids + 1] = prioritized[i]
    end
  end
  return ids, found
end

-- A job that was never started and has neither parent, deduplication key nor
-- scheduler has these fields: name, data, opts, timestamp, delay and priority.
-- Its timestamp has 13 digits, as all have for centuries.
local PLAIN_FIELDS, STAMP_SIZE = 6, 13
local try = redis.pcall

-- plain_fields returns name, data, options and timestamp of a job that has
-- nothing else to it, and nil for others.
local function plain_fields(key, largest)
  if try('HLEN', key) ~= PLAIN_FIELDS then
    return nil
  end
  local fields = call('HMGET', key, 'name', 'data', 'opts', 'timestamp')
  local name, data, opts = fields[1], fields[2], fields[3]
  if name and data and opts and #(fields[4] or '') == STAMP_SIZE and #name <= NAME_MOST and #data + #opts <= largest then
    return fields
  end
  return nil
end

-- shorten cuts a field that has more than so many bytes.
local function shorten(fields, i, most)
  if fields[i] and #fields[i] > most then
    fields[i] = string.sub(fields[i], 1, most)
  end
end

-- Stands for the number of starts when what has the name of the job is none.
local FOREIGN = 'foreign'

local function all_fields(id, key)
  local fields = redis.pcall('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'priority', 'ats', 'rjk', 'defa', 'atm',
    'attemptsMade', 'stc', 'parked', 'stacktrace')
  if fields.err or RESERVED[id] then
    return { false, false, false, false, false, FOREIGN }
  end
  return fields
end

-- lease_of returns the lease of any job: "+", the id and the fields, each with
-- its length and a colon before it, or "-" where there is none. Data and options
-- that are too large become "large" in the place of the number of starts.
local function lease_of(id, fields, largest)
  local size = #(fields[2] or '') + #(fields[3] or '')
  shorten(fields, 8, DEFERRED_MOST)
  if fields[13] and #fields[13] > STACKS_MOST then
    fields[13] = false
  end
  if size > largest or (fields[1] and #fields[1] > NAME_MOST) then
    shorten(fields, 1, 64)
    fields[2], fields[3], fields[6] = false, false, 'large'
  end
  local parts = { '+' .. int_text(#id) .. ':' .. id }
  for i = 1, 13 do
    local value = fields[i]
    parts[i + 1] = value and int_text(#value) .. ':' .. value or '-'
  end
  return table.concat(parts)
end

-- push_back returns ids that are not handed out to where they were taken from.
local function push_back(q, ids, from)
  for i = #ids, from, -1 do
    local id = ids[i]
    local priority = priority_of(q, id)
    if priority <= 0 or not pcall(call, 'ZADD', q.prioritized, priority * CLASS, id) then
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

-- start_job leases the job, whose lock ends at a time, and says so. A job
-- without a hash gets no more than a lock: writing to it would make a hash.
local function start_job(q, id, key, started, ends)
  call('SET', key .. ':lock', ARGV[4], 'PXAT', ends)
  if not started then
    return
  end
  call('XADD', q.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  if ARGV[6] ~= '' then
    call('HSET', key, 'processedOn', stamp, 'ats', started, 'pb', ARGV[6])
  else
    call('HSET', key, 'processedOn', stamp, 'ats', started)
  end
end

-- start_other leases a job that is not plain. It returns its lease and whether
-- its failure was decided before.
local function start_other(q, id, key, largest, ends)
  local fields = all_fields(id, key)
  local started
  if fields[1] or fields[2] or fields[3] or fields[4] then
    started = int_text((tonumber(fields[6]) or 0) + 1)
    fields[6] = started
  end
  start_job(q, id, key, started, ends)
  if fields[12] then
    call('HDEL', KEYS[3], id)
  end
  return lease_of(id, fields, largest), fields[8] and true or false
end

-- lease_jobs leases the ids, of which the first so many have no priority, and
-- appends their leases to the reply: that of a plain job is "." with timestamp
-- and id, and its data; name and options stand before the data, and "," in the
-- place of the dot, unless they are those of the plain job before. Each value
-- of a reply costs as much as a third of a command. It returns how many count
-- for the rate limit: in BullMQ 6 those that are only to be failed do not.
local function lease_jobs(q, ids, unprioritized, now, reply)
  local base, largest = q.base, tonumber(ARGV[8])
  -- Redis turns other forms of the time into this one.
  local ends = int_text(now + tonumber(ARGV[5]))
  local n, bytes, deferred = #reply, 0, 0
  local last_name, last_opts
  for i = 1, #ids do
    local id = ids[i]
    if bytes > REPLY_MOST then
      push_back(q, ids, i)
      break
    end
    local key = base .. id
    local fields = i <= unprioritized and plain_fields(key, largest)
    if fields then
      start_job(q, id, key, '1', ends)
      local name, data, opts, created = fields[1], fields[2], fields[3], fields[4]
      if name == last_name and opts == last_opts then
        reply[n + 1], reply[n + 2] = '.' .. created .. id, data
        n = n + 2
      else
        last_name, last_opts = name, opts
        reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = ',' .. created .. id, name, opts, data
        n = n + 4
      end
      bytes = bytes + #data
    else
      local decided
      n = n + 1
      reply[n], decided = start_other(q, id, key, largest, ends)
      if decided and q.profile == 'v6' then
        deferred = deferred + 1
      end
      bytes = bytes + #reply[n]
    end
  end
  call('LPUSH', q.active, unpack(ids))
  return #ids - deferred
end

-- lease_or_leave leases the ids; when that fails, because a key of the queue is
-- something else, the jobs go back. It returns what lease_jobs does.
local function lease_or_leave(q, ids, unprioritized, now, reply)
  local ok, counted = pcall(lease_jobs, q, ids, unprioritized, now, reply)
  if not ok then
    for _, id in ipairs(ids) do
      call('DEL', q.base .. id .. ':lock')
    end
    push_back(q, ids, 1)
    error(counted, 0)
  end
  return counted
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
  local ids, unprioritized = pop_ready(q, want)
  if #ids == 0 then
    local first = call('ZRANGE', q.delayed, 0, 0, 'WITHSCORES')
    if first[2] then
      reply[2] = 'd' .. int_text(math.floor(tonumber(first[2]) / SLOTS) - now)
    end
    return
  end
  local counted = lease_or_leave(q, ids, unprioritized, now, reply)
  count_started(q, counted, own_max, tonumber(ARGV[10]))
  if call('EXISTS', q.wait, q.prioritized) > 0 then
    redis.pcall('ZADD', q.marker, '0', '0')
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
      reply[#reply + 1] = lease_of(id, all_fields(id, key), tonumber(ARGV[8]))
    end
  end
  return reply
end
