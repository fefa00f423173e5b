-- @include retention
-- @include dedup
-- @include metrics
-- Writing outcomes, a batch at a time. What can be asked or written for all
-- jobs of the batch at once is.

local SETTLE_AT, SETTLE_FIELDS = 13, 7

local OK, GONE, NO_LOCK, NOT_ACTIVE, PENDING, OTHER_LOCK, FAILED_CHILDREN = 0, -1, -2, -3, -4, -6, -9

-- read_settlements reads the batch from ARGV.
local function read_settlements(q, count)
  local batch = {}
  for i = 1, count do
    local at = SETTLE_AT + (i - 1) * SETTLE_FIELDS
    local id = ARGV[at + 1]
    batch[i] = {
      kind = ARGV[at], id = id, key = q.base .. id, token = ARGV[at + 2], value = ARGV[at + 3],
      keep = ARGV[at + 4], extra = ARGV[at + 5], stack = ARGV[at + 6], code = OK,
    }
  end
  return batch
end

-- check_locks gives a code to the settlements whose lease is not held.
local function check_locks(batch)
  local names, jobs = {}, {}
  for i, s in ipairs(batch) do
    names[i], jobs[i] = s.key .. ':lock', s.key
  end
  local locks = call('MGET', unpack(names))
  local all = call('EXISTS', unpack(jobs)) == #jobs
  local seen = {}
  for i, s in ipairs(batch) do
    if not all and call('EXISTS', s.key) == 0 then
      s.code = GONE
    elseif not locks[i] or (seen[s.id] and locks[i] == s.token) then
      s.code = NO_LOCK
    elseif locks[i] ~= s.token then
      s.code = OTHER_LOCK
    else
      seen[s.id] = true
    end
  end
end

-- check_children refuses to complete jobs with children that are pending or
-- have failed them.
local function check_children(batch)
  local names = {}
  for _, s in ipairs(batch) do
    if s.kind == 'C' and s.code == OK then
      names[#names + 1], names[#names + 2] = s.key .. ':dependencies', s.key .. ':unsuccessful'
    end
  end
  if #names == 0 or call('EXISTS', unpack(names)) == 0 then
    return
  end
  for _, s in ipairs(batch) do
    if s.kind == 'C' and s.code == OK then
      if call('SCARD', s.key .. ':dependencies') > 0 then
        s.code = PENDING
      elseif call('ZCARD', s.key .. ':unsuccessful') > 0 then
        s.code = FAILED_CHILDREN
      end
    end
  end
end

-- check_waiting gives a code to the jobs that cannot wait for children.
local function check_waiting(s)
  if call('ZCARD', s.key .. ':unsuccessful') > 0 then
    s.code = FAILED_CHILDREN
  elseif call('SCARD', s.key .. ':dependencies') == 0 then
    -- Nothing to wait for: the job is ready for its next attempt.
    s.kind = 'B'
  end
end

-- take_active removes the ids of the set from the active list and returns
-- those that were there. Jobs end about in the order in which they began, so
-- they are near the tail: it is read and written anew as a whole.
local function take_active(q, wanted, count)
  local found = {}
  if count > 3 then
    local tail = call('LRANGE', q.active, -2 * count, -1)
    local kept, taken = {}, 0
    for i = #tail, 1, -1 do
      local id = tail[i]
      if wanted[id] and not found[id] then
        found[id] = true
        taken = taken + 1
      else
        kept[#kept + 1] = id
      end
    end
    if taken > 0 then
      call('LTRIM', q.active, 0, -#tail - 1)
      for i = 1, math.floor(#kept / 2) do
        kept[i], kept[#kept - i + 1] = kept[#kept - i + 1], kept[i]
      end
      if #kept > 0 then
        call('RPUSH', q.active, unpack(kept))
      end
    end
    if taken == count then
      return found
    end
  end
  for id in pairs(wanted) do
    if not found[id] and call('LREM', q.active, -1, id) == 1 then
      found[id] = true
    end
  end
  return found
end

-- release_leases drops the locks of the settlements that go through and takes
-- their jobs out of the active list. Jobs that are gone leave nothing behind.
local function release_leases(q, batch)
  local locks, ids, wanted, count = {}, {}, {}, 0
  for _, s in ipairs(batch) do
    if (s.code == OK or s.code == GONE) and not wanted[s.id] then
      count = count + 1
      locks[count], ids[count] = s.key .. ':lock', s.id
      wanted[s.id] = true
    end
  end
  if count == 0 then
    return
  end
  call('DEL', unpack(locks))
  call('SREM', q.base .. 'stalled', unpack(ids))
  local found = take_active(q, wanted, count)
  for _, s in ipairs(batch) do
    if s.code == OK and not found[s.id] then
      s.code = NOT_ACTIVE
    end
  end
end

-- policy_of reads the child policy from a job's parent field.
local function policy_of(text)
  local ok, parent = pcall(cjson.decode, text or '{}')
  if not ok or type(parent) ~= 'table' then
    return {}
  end
  return parent
end

-- tell_parent tells a finished job's parent how it ended.
local function tell_parent(q, s, parent_key, parent_field, now)
  local pq, parent = parent_of(q, parent_key)
  if not pq or call('EXISTS', parent_key) == 0 then
    return
  end
  if s.kind == 'C' then
    child_completed(pq, parent, s.key, s.value, now)
  else
    child_failed(pq, parent, s.key, s.value, now, policy_of(parent_field))
  end
end

-- Finished jobs of the batch that are not written yet: the members of one
-- set, under one policy, and keys to delete.
local function new_finishes()
  return { set = nil, keep = nil, scores = {}, dead = {}, completed = 0, failed = 0 }
end

-- flush_finished adds the gathered jobs to their set and purges it. Purging
-- once for jobs of one policy leaves the same survivors as after each job.
local function flush_finished(q, f, now)
  if #f.scores > 0 then
    call('ZADD', q.base .. f.set, unpack(f.scores))
    f.scores = {}
    if f.keep.age or f.keep.count > 0 then
      purge(q, f.set, now, f.keep)
    end
  end
end

-- keep_finished stores how the job ended.
local function keep_finished(q, s, f, keep, attempts, now)
  local set = s.kind == 'C' and 'completed' or 'failed'
  if f.set ~= set or f.keep ~= keep then
    flush_finished(q, f, now)
    f.set, f.keep = set, keep
  end
  local n = #f.scores
  f.scores[n + 1], f.scores[n + 2] = now, s.id
  if s.kind == 'C' then
    call('HSET', s.key, 'returnvalue', s.value, 'finishedOn', now, 'atm', attempts)
  else
    call('HSET', s.key, 'failedReason', s.value, 'stacktrace', s.stack, 'finishedOn', now, 'atm', attempts)
    call('HDEL', s.key, 'defa')
  end
end

-- finish completes or fails the job.
local function finish(q, s, f, now)
  local fields = call('HMGET', s.key, 'atm', 'deid', 'parentKey', 'parent')
  local attempts = (tonumber(fields[1]) or 0) + 1
  if fields[2] then
    free_dedup(q, s.id, fields[2], now)
  end
  if fields[3] then
    tell_parent(q, s, fields[3], fields[4], now)
  end
  local keep = keep_of(s.keep)
  if keep.count == 0 then
    job_keys(f.dead, s.key)
    if fields[3] then
      unlink_child(q, s.key, fields[3], now, false)
    end
  else
    keep_finished(q, s, f, keep, attempts, now)
  end
  if s.kind == 'C' then
    f.completed = f.completed + 1
    call('XADD', q.events, '*', 'event', 'completed', 'jobId', s.id, 'returnvalue', s.value, 'prev', 'active')
    return
  end
  f.failed = f.failed + 1
  call('XADD', q.events, '*', 'event', 'failed', 'jobId', s.id, 'failedReason', s.value, 'prev', 'active')
  if attempts >= tonumber(s.extra) then
    call('XADD', q.events, '*', 'event', 'retries-exhausted', 'jobId', s.id, 'attemptsMade', attempts)
  end
end

-- back puts the job in front of all of its rank, uncharged.
local function back(q, s)
  local priority = priority_of(q, s.id)
  if priority > 0 then
    call('ZADD', q.prioritized, priority * CLASS, s.id)
  else
    call('RPUSH', ready_list(q), s.id)
  end
  base_marker(q)
  waiting_event(q, s.id, 'active')
end

-- put_off delays the job; what it was charged is written before.
local function put_off(q, s, now)
  local delay = tonumber(s.extra)
  call('HSET', s.key, 'delay', delay)
  delay_job(q, s.id, now + delay)
  q.new_delayed = true
end

-- charge writes the failure of an attempt that another one follows.
local function charge(s)
  call('HSET', s.key, 'failedReason', s.value, 'stacktrace', s.stack)
  call('HINCRBY', s.key, 'atm', 1)
end

-- apply writes one outcome that does not finish its job.
local function apply(q, s, now, parked)
  local kind = s.kind
  if kind == 'R' then
    charge(s)
    line_up(q, s.id, priority_of(q, s.id), s.extra == 'l' and 'RPUSH' or 'LPUSH')
    base_marker(q)
    waiting_event(q, s.id, 'active')
  elseif kind == 'D' then
    charge(s)
    put_off(q, s, now)
  elseif kind == 'S' then
    put_off(q, s, now)
  elseif kind == 'P' then
    put_off(q, s, now)
    call('HINCRBY', s.key, 'parked', 1)
    call('HSET', parked, s.id, s.value)
  elseif kind == 'L' then
    back(q, s)
    call('SET', q.base .. 'limiter', MANUAL_LIMIT, 'PX', s.extra)
  elseif kind == 'W' then
    call('ZADD', q.base .. 'waiting-children', now, s.id)
    call('XADD', q.events, 'MAXLEN', '~', q.max_events, '*', 'event', 'waiting-children', 'jobId', s.id, 'prev', 'active')
  else
    back(q, s)
  end
end

-- settle writes the batch and returns its codes, joined by commas.
local function settle(q, now, count, parked, points)
  local batch = read_settlements(q, count)
  check_locks(batch)
  check_children(batch)
  local finishes, retries = false, false
  for _, s in ipairs(batch) do
    if s.code == OK and s.kind == 'W' then
      check_waiting(s)
    end
    finishes = finishes or s.kind == 'C' or s.kind == 'F'
    retries = retries or s.kind == 'R'
  end
  release_leases(q, batch)
  if retries then
    promote_due(q, now)
  end
  if finishes then
    call('XTRIM', q.events, 'MAXLEN', '~', q.max_events)
  end
  local f = new_finishes()
  local codes = {}
  for i, s in ipairs(batch) do
    if s.code == OK then
      if s.kind == 'C' or s.kind == 'F' then
        finish(q, s, f, now)
      else
        apply(q, s, now, parked)
      end
    end
    codes[i] = s.code
  end
  flush_finished(q, f, now)
  delete_keys(f.dead)
  if q.new_delayed then
    q.new_delayed = nil
    delay_marker(q)
  end
  if points > 0 then
    if f.completed > 0 then
      count_finished(q, 'completed', f.completed, now, points)
    end
    if f.failed > 0 then
      count_finished(q, 'failed', f.failed, now, points)
    end
  end
  return table.concat(codes, ',')
end

-- drained_event says that nothing is left to do.
local function drained_event(q)
  if call('EXISTS', q.wait, q.active, q.prioritized) == 0 then
    call('XADD', q.events, '*', 'event', 'drained')
  end
end
