-- @include clock
-- @include raise
-- One queue as a script sees it: its settings, read once, and the steps that
-- move ready and delayed jobs (protocol 2.1).

-- The counter bits of a delayed score, and the span of a priority class.
local SLOTS = 4096
local CLASS = 4294967296

local MAX_EVENTS = '10000'
local MANUAL_LIMIT = 9007199254740991

-- How many due jobs one call promotes.
local PROMOTE_MOST = '1000'

local open_queues = {}

-- whole reads a number that others have written, without its fraction: half a
-- job cannot be handed out.
local function whole(text)
  local number = tonumber(text)
  return number and number == number and math.floor(number) or nil
end

-- queue_of returns the queue whose keys begin with base, "bull:mail:".
-- The profile, "v5", "v6" or "" for what meta.version says, decides where jobs
-- go while the queue is paused and neither list exists.
local function queue_of(base, profile)
  local q = open_queues[base]
  if q then
    return q
  end
  local meta = try('HMGET', base .. 'meta', 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents', 'version')
  if meta.err then
    raise(meta.err, base .. 'meta')
  end
  q = {
    base = base, wait = base .. 'wait', active = base .. 'active', delayed = base .. 'delayed',
    prioritized = base .. 'prioritized', marker = base .. 'marker', events = base .. 'events',
    paused = meta[1] and true or false, concurrency = whole(meta[2]), max = whole(meta[3]),
    duration = tonumber(meta[4]), max_events = string.match(meta[5] or '', '^%d+$'), profile = profile, version = meta[6],
  }
  if profile == '' then
    local major = tonumber(string.match(meta[6] or '', '(%d+)%.'))
    q.profile = major and major >= 6 and 'v6' or 'v5'
  end
  open_queues[base] = q
  return q
end

-- max_events returns about how many events are kept. A queue that does not say
-- so yet is told, by whoever trims its events (protocol B1).
local function max_events(q)
  if not q.max_events then
    q.max_events = MAX_EVENTS
    call('HSET', q.base .. 'meta', 'opts.maxLenEvents', MAX_EVENTS)
  end
  return q.max_events
end

-- free_first makes the first change of a call one that needs no memory: Redis
-- carries such calls out while it is full.
local function free_first(q)
  try('XTRIM', q.events, 'MAXLEN', '~', q.max_events or MAX_EVENTS)
end

-- trim_events trims the events of the queue, as most of BullMQ's scripts do. The
-- trimming comes first: a script whose first change needs no memory is carried
-- out while it is full.
local function trim_events(q)
  call('XTRIM', q.events, 'MAXLEN', '~', q.max_events or MAX_EVENTS)
  max_events(q)
end

-- queue_blocked tells whether no job may be handed out.
local function queue_blocked(q)
  if q.paused then
    return true
  end
  return q.concurrency ~= nil and call('LLEN', q.active) >= q.concurrency
end

-- ready_list returns the list for ready jobs without priority. While a queue
-- is paused BullMQ 5 keeps them in "paused" and BullMQ 6 in "wait", and a
-- resume of BullMQ 5 overwrites one list with the other: whichever list is
-- there already must be the only one (protocol 6.2).
local function ready_list(q)
  if not q.paused then
    return q.wait
  end
  local paused = q.base .. 'paused'
  if call('EXISTS', paused) == 1 then
    return paused
  elseif call('EXISTS', q.wait) == 1 then
    return q.wait
  end
  return q.profile == 'v6' and q.wait or paused
end

-- check_queue stops the call before anything is written if a key of the queue
-- is something else: a job that is stored but waits nowhere would refuse its
-- own repetition.
local function check_queue(q)
  ask('LLEN', ready_list(q))
  ask('ZCARD', q.prioritized)
  ask('ZCARD', q.delayed)
  ask('XLEN', q.events)
end

-- check_ids does the same when the counter of ids is none: begun anew it would
-- give ids that are taken.
local function check_ids(q)
  local key = q.base .. 'id'
  local last = ask('GET', key)
  if last and not (string.match(last, '^%d+$') and #last < 19) then
    raise('ERR value is not an integer or out of range', key)
  end
end

-- base_marker wakes a worker that waits for a job. Markers are hints: when
-- something else has taken their place, jobs go on without them.
local function base_marker(q)
  if not queue_blocked(q) then
    try('ZADD', q.marker, '0', '0')
  end
end

-- delay_marker tells waiting workers when the first delayed job is due.
local function delay_marker(q)
  local first = call('ZRANGE', q.delayed, '0', '0', 'WITHSCORES')
  if first[1] then
    try('ZADD', q.marker, tonumber(first[2]) / SLOTS, '1')
  end
end

-- delayed_score returns the score of a job due at the ms: jobs of one ms stay
-- in the order in which they came.
local function delayed_score(q, due)
  local low = due * SLOTS
  local high = low + SLOTS - 1
  local last = call('ZREVRANGEBYSCORE', q.delayed, high, low, 'WITHSCORES', 'LIMIT', '0', '1')
  if not last[2] then
    return low
  end
  return math.min(tonumber(last[2]) + 1, high)
end

-- delay_job puts the job aside until due, in ms.
local function delay_job(q, id, due)
  call('ZADD', q.delayed, delayed_score(q, due), id)
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'delayed', 'jobId', id, 'delay', due)
end

-- priority_score returns the score of the next job of a priority. Whoever wrote
-- something else in the place of the counter has lost count: it begins anew.
local function priority_score(q, priority)
  local key = q.base .. 'pc'
  local n = try('INCR', key)
  if type(n) ~= 'number' then
    n = 1
    call('SET', key, n)
  end
  return priority * CLASS + n % CLASS
end

-- line_up makes the job ready without a marker; command is LPUSH for the end
-- of the line and RPUSH for its front.
local function line_up(q, id, priority, command)
  if priority > 0 then
    call('ZADD', q.prioritized, priority_score(q, priority), id)
  else
    call(command, ready_list(q), id)
  end
end

-- waiting_event says that the job is ready and where it came from.
local function waiting_event(q, id, prev)
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'waiting', 'jobId', id, 'prev', prev)
end

local reserved

-- is_reserved tells whether the id is the name of one of the queue's own keys,
-- which is never a job (protocol 1.1).
local function is_reserved(id)
  reserved = reserved or {
    active = true, wait = true, ['waiting-children'] = true, paused = true, id = true, delayed = true, prioritized = true,
    ['stalled-check'] = true, completed = true, failed = true, stalled = true, ['repeat'] = true, limiter = true, meta = true,
    events = true, pc = true, marker = true, de = true, delay = true, priority = true,
    metrics = true, dn = true,
  }
  return reserved[id]
end

-- priority_of returns the job's present priority, 0 for none: others may have
-- left anything under the name of a job.
local function priority_of(q, id)
  local priority = try('HGET', q.base .. id, 'priority')
  return type(priority) == 'string' and tonumber(priority) or 0
end

-- bump adds one to a counter of a job, and begins anew with one that is no
-- number.
local function bump(key, field)
  local n = try('HINCRBY', key, field, '1')
  if type(n) ~= 'number' then
    n = 1
    call('HSET', key, field, n)
  end
  return n
end

-- promote_all makes the delayed jobs ready, one after the other, and keeps
-- count of those that are.
local function promote_all(q, due, count)
  for i, id in ipairs(due) do
    line_up(q, id, priority_of(q, id), 'LPUSH')
    count.ready = i
    call('XADD', q.events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
    if not is_reserved(id) then
      try('HSET', q.base .. id, 'delay', '0')
    end
  end
end

-- next_due returns when the first delayed job is due, in ms, nil if there is none.
local function next_due(q)
  local first = call('ZRANGE', q.delayed, '0', '0', 'WITHSCORES')
  return first[2] and math.floor(tonumber(first[2]) / SLOTS)
end

-- promote_due makes the delayed jobs ready whose time has come, and returns what
-- next_due does then. It happens also while the queue is paused (protocol B9). A
-- score below zero, which BullMQ passes over for ever, is one whose time has
-- come.
local function promote_due(q, now)
  local first = next_due(q)
  if not first or first > now then
    return first
  end
  local due = call('ZRANGEBYSCORE', q.delayed, '-inf', (now + 1) * SLOTS - 1, 'LIMIT', '0', PROMOTE_MOST)
  -- A script whose first change needs no memory is carried out while it is full.
  call('XTRIM', q.events, 'MAXLEN', '~', q.max_events or MAX_EVENTS)
  local count = { ready = 0 }
  local ok, err = pcall(promote_all, q, due, count)
  if count.ready > 0 then
    call('ZREM', q.delayed, unpack(due, 1, count.ready))
  end
  if not ok then
    error(err, 0)
  end
  base_marker(q)
  return next_due(q)
end
