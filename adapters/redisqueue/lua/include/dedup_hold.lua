-- @include flow
-- Deduplication keys as jobs are added (protocol 2.17). A key's owner is in
-- Q:de:KEY, a job that is to follow it in Q:dn:KEY.

-- dedup_event says that of two jobs of a key one is there and the other is not,
-- or not yet.
local function dedup_event(q, dedup, there, other)
  if q.profile == 'v5' then
    call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'debounced', 'jobId', there, 'debounceId', dedup)
  end
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'deduplicated', 'jobId', there,
    'deduplicationId', dedup, 'deduplicatedJobId', other)
end

-- dedup_owner returns the job that holds the key, if any. A key without an end
-- whose owner is gone holds nothing, and what was to follow goes with it.
local function dedup_owner(q, dedup)
  local key = q.base .. 'de:' .. dedup
  local owner = ask('GET', key)
  if owner and call('PTTL', key) == -1 and call('EXISTS', q.base .. owner) == 0 then
    call('DEL', key, q.base .. 'dn:' .. dedup)
    return nil
  end
  return owner or nil
end

-- own_dedup makes the job the key's owner.
local function own_dedup(q, id, job)
  local key = q.base .. 'de:' .. job.dedup
  if job.dedup_ttl > 0 then
    call('SET', key, id, 'PX', job.dedup_ttl)
  else
    call('SET', key, id)
  end
end

-- replace_owner puts the job in the place of an owner that is delayed, and tells
-- whether it was.
local function replace_owner(q, owner, id, job)
  if is_reserved(owner) or not call('ZSCORE', q.delayed, owner) then
    return false
  end
  local key = q.base .. owner
  local parent_key = try('HGET', key, 'parentKey')
  if type(parent_key) == 'string' then
    -- It would wait for ever.
    unlink_child(q, key, parent_key, job.timestamp, false)
  end
  call('ZREM', q.delayed, owner)
  call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'removed', 'jobId', owner, 'prev', 'delayed')
  if job.dedup_ttl > 0 and not job.dedup_mode.extend then
    call('SET', q.base .. 'de:' .. job.dedup, id, 'KEEPTTL')
  else
    own_dedup(q, id, job)
  end
  if q.profile == 'v6' then
    call('DEL', q.base .. 'dn:' .. job.dedup)
  end
  dedup_event(q, job.dedup, id, owner)
  return true
end

-- follow_owner keeps the job until the owner is done, in the place of one that
-- was kept before, if the owner is being worked. It tells whether it is.
local function follow_owner(q, owner, id, job)
  if not ask('LPOS', q.active, owner) then
    return false
  end
  local key = q.base .. 'dn:' .. job.dedup
  local fields = { 'name', job.name, 'data', job.data, 'opts', job.opts, 'jid', id }
  if job.parent_key then
    local n = #fields
    fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4] = 'pk', job.parent_key, 'pd', job.parent
    fields[n + 5], fields[n + 6] = 'pdk', job.parent_key .. ':dependencies'
  end
  call('DEL', key)
  call('HSET', key, unpack(fields))
  call('PERSIST', q.base .. 'de:' .. job.dedup)
  dedup_event(q, job.dedup, owner, id)
  return true
end

-- reschedule_owner has an owner that is delayed be due when the job would have
-- been.
local function reschedule_owner(q, owner, job)
  local key = q.base .. owner
  if is_reserved(owner) or call('EXISTS', key) == 0 or not call('ZSCORE', q.delayed, owner) then
    return
  end
  try('HSET', key, 'delay', job.delay_text)
  delay_job(q, owner, job.timestamp + job.delay)
  q.new_delayed = true
end

-- hold_dedup lets the job hold its key, or returns the id of the one that does,
-- and whether the job is kept to follow it.
local function hold_dedup(q, id, job)
  local mode = job.dedup_mode
  local owner = dedup_owner(q, job.dedup)
  if not owner then
    own_dedup(q, id, job)
    return nil, false
  end
  if mode.replace and replace_owner(q, owner, id, job) then
    return nil, false
  end
  if mode.keep and follow_owner(q, owner, id, job) then
    return owner, true
  end
  if mode.replace then
    -- BullMQ says nothing of it.
    return owner, false
  end
  if mode.extend then
    call('SET', q.base .. 'de:' .. job.dedup, owner, 'PX', job.dedup_ttl)
  end
  dedup_event(q, job.dedup, owner, id)
  if mode.reschedule then
    reschedule_owner(q, owner, job)
  end
  return owner, false
end

-- read_dedup reads the letters of a mode and the ttl in ms into the job: "e" for
-- extend, "r" for replace, "k" for keepLastIfActive, "s" for reschedule.
local function read_dedup(job, text)
  local letters, ttl = string.match(text, '^(%a*)(%d+)$')
  job.dedup_ttl = tonumber(ttl)
  job.dedup_mode = {
    extend = string.find(letters, 'e', 1, true) ~= nil, replace = string.find(letters, 'r', 1, true) ~= nil,
    keep = string.find(letters, 'k', 1, true) ~= nil, reschedule = string.find(letters, 's', 1, true) ~= nil,
  }
end
