-- @include queue
-- @include dedup_hold
-- Adding jobs (protocol 2.2, 2.17).

-- What producers say of themselves in a queue's meta, if no other has.
local VERSIONS = { v5 = 'bullmq:5.81.5', v6 = 'bullmq:6.7.0' }

-- How long a receipt refuses a second enqueue, in ms.
local RECEIPT_LIFE = '86400000'

-- What became of a job, and the id that goes with it.
local ACCEPTED, DUPLICATE, RECEIPT_KNOWN, DEDUPLICATED = 1, 2, 3, 4

-- store_plain writes the hash of a job with nothing else to it, and says so.
local function store_plain(q, id, name, data, opts, created, delay, priority)
  call('HSET', q.base .. id, 'name', name, 'data', data, 'opts', opts, 'timestamp', created, 'delay', delay, 'priority', priority)
  call('XADD', q.events, '*', 'event', 'added', 'jobId', id, 'name', name)
end

-- store_job writes the job's hash and says so.
local function store_job(q, id, job)
  local fields = {
    'name', job.name, 'data', job.data, 'opts', job.opts, 'timestamp', job.stamp or job.timestamp,
    'delay', job.delay_text or job.delay, 'priority', job.priority_text or job.priority,
  }
  if job.parent_key then
    local n = #fields
    fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4] = 'parentKey', job.parent_key, 'parent', job.parent
  end
  if job.rjk then
    fields[#fields + 1], fields[#fields + 2] = 'rjk', job.rjk
  end
  if job.dedup then
    fields[#fields + 1], fields[#fields + 2] = 'deid', job.dedup
  end
  call('HSET', q.base .. id, unpack(fields))
  call('XADD', q.events, '*', 'event', 'added', 'jobId', id, 'name', job.name)
end

-- place_job puts a stored job where it waits. Jobs for the end of the ready
-- list are only noted in q.pushes, for flush_pushes.
local function place_job(q, id, job)
  if job.delay > 0 then
    delay_job(q, id, job.timestamp + job.delay)
    q.new_delayed = true
    return
  end
  if job.priority > 0 then
    call('ZADD', q.prioritized, priority_score(q, job.priority), id)
  elseif job.lifo then
    call('RPUSH', ready_list(q), id)
  else
    q.pushes = q.pushes or {}
    q.pushes[#q.pushes + 1] = id
  end
  q.new_ready = true
  call('XADD', q.events, '*', 'event', 'waiting', 'jobId', id)
end

-- take_back undoes what was done of storing and placing a job. The job is then
-- last wherever it is.
local function take_back(q, id)
  local key, pushes = q.base .. id, q.pushes
  if pushes and pushes[#pushes] == id then
    pushes[#pushes] = nil
    q.pushes = pushes[1] and pushes or nil
  end
  call('ZREM', q.delayed, id)
  call('ZREM', q.prioritized, id)
  if call('LINDEX', ready_list(q), -1) == id then
    call('RPOP', ready_list(q))
  end
  -- What is there instead of a job stopped it from being stored.
  if call('TYPE', key).ok == 'hash' then
    call('DEL', key)
  end
end

local function store_and_place(q, id, job)
  store_job(q, id, job)
  place_job(q, id, job)
end

-- put_job stores a job and puts it where it waits, or fails and leaves nothing
-- of it: a job that is stored but waits nowhere would refuse its own repetition.
local function put_job(q, id, job)
  local ok, err = pcall(store_and_place, q, id, job)
  if not ok then
    take_back(q, id)
    error(err, 0)
  end
end

-- sign_queue leaves the version that producers of BullMQ leave.
local function sign_queue(q)
  if not q.version then
    q.version = VERSIONS[q.profile]
    call('HSETNX', q.base .. 'meta', 'version', q.version)
  end
end

-- A counter beyond it is no number that Lua tells from the next.
local IDS_MOST = 9007199254740991

-- return_ids moves a counter of ids back.
local function return_ids(base, n)
  if call('INCRBY', base .. 'id', -n) == 0 then
    call('DEL', base .. 'id')
  end
end

-- take_ids moves the counter of ids of each base on by as many as are wanted,
-- and returns the first ids. If one is no counter, none is moved: begun anew it
-- would give ids that are taken.
local function take_ids(wanted)
  local first = {}
  for base, n in pairs(wanted) do
    local last = try('INCRBY', base .. 'id', n)
    if type(last) ~= 'number' or last > IDS_MOST then
      for before in pairs(first) do
        return_ids(before, wanted[before])
      end
      if type(last) == 'number' then
        return_ids(base, n)
        last = { err = 'ERR value is not an integer or out of range' }
      end
      raise(last.err, base .. 'id')
    end
    first[base] = last - n + 1
  end
  return first
end

-- flush_pushes ends a batch of placed jobs: ready ones join their list, and
-- workers are woken.
local function flush_pushes(q)
  if q.pushes then
    call('LPUSH', ready_list(q), unpack(q.pushes))
    q.pushes = nil
  end
  if q.new_ready then
    q.new_ready = nil
    base_marker(q)
  end
  if q.new_delayed then
    q.new_delayed = nil
    delay_marker(q)
  end
end

-- add_job adds one job with the counter value n, unless its receipt, id or
-- deduplication key refuses it. receipts is what keys of receipts begin with.
-- The batch is ended by flush_pushes.
local function add_job(q, n, job, receipts)
  local receipt = job.receipt and receipts .. job.receipt
  if receipt then
    local known = ask('GET', receipt)
    if known then
      return RECEIPT_KNOWN, known
    end
  end
  local id = job.id or int_text(n)
  if job.id and ask('HLEN', q.base .. id) > 0 then
    call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'duplicated', 'jobId', id)
    return DUPLICATE, id
  end
  if job.dedup then
    if not job.id then
      ask('HLEN', q.base .. id)
    end
    local owner, follows = hold_dedup(q, id, job)
    if owner then
      if follows and receipt then
        call('SET', receipt, id, 'PX', RECEIPT_LIFE)
      end
      return DEDUPLICATED, owner
    end
  end
  put_job(q, id, job)
  if receipt then
    call('SET', receipt, id, 'PX', RECEIPT_LIFE)
  end
  return ACCEPTED, id
end

-- JOB_FIELDS is how many arguments read_job takes.
local JOB_FIELDS = 10

-- read_job reads a job from ARGV at position at: id, name, data, opts, delay
-- in ms, priority, lifo, deduplication key, its mode and ttl (read_dedup), receipt.
-- Empty ids, keys and receipts mean none.
local function read_job(at, now)
  local job = {
    name = ARGV[at + 1], data = ARGV[at + 2], opts = ARGV[at + 3], timestamp = now, stamp = stamp,
    delay_text = ARGV[at + 4], delay = tonumber(ARGV[at + 4]),
    priority_text = ARGV[at + 5], priority = tonumber(ARGV[at + 5]), lifo = ARGV[at + 6] == '1',
  }
  if ARGV[at] ~= '' then
    job.id = ARGV[at]
  end
  if ARGV[at + 7] ~= '' then
    job.dedup = ARGV[at + 7]
    read_dedup(job, ARGV[at + 8])
  end
  if ARGV[at + 9] ~= '' then
    job.receipt = ARGV[at + 9]
  end
  return job
end
