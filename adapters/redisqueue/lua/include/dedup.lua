-- @include add
-- What the end of a job does to its deduplication key (protocol 2.4 steps 8
-- and 9).

-- next_options reads what decides where a stored job goes. Its options were
-- written by others and may be anything.
local function next_options(text)
  local ok, opts = pcall(cjson.decode, text)
  if not ok or type(opts) ~= 'table' then
    opts = {}
  end
  return {
    delay = type(opts.delay) == 'number' and opts.delay > 0 and opts.delay or 0,
    priority = type(opts.priority) == 'number' and opts.priority > 0 and opts.priority or 0,
    lifo = opts.lifo == true,
  }
end

-- How many ids that are taken a kept job passes over.
local TAKEN_MOST = 1000

-- free_id returns the next value of the queue's counter that is no job's id.
local function free_id(q)
  for _ = 1, TAKEN_MOST do
    local id = int_text(take_ids({ [q.base] = 1 })[q.base])
    if call('EXISTS', q.base .. id) == 0 then
      return id
    end
  end
  raise('ERR the ids that follow are taken', q.base .. 'id')
end

-- id_of_next returns the id of a kept job: its own, or a new one if it has none.
-- The counter goes on for both, as a count of jobs.
local function id_of_next(q, id)
  if not id or id == '' or is_reserved(id) then
    return free_id(q)
  end
  if call('EXISTS', q.base .. id) == 0 then
    try('INCR', q.base .. 'id')
  end
  return id
end

-- add_stored_next adds the job that was stored to follow the key's owner. Where
-- a job of its id came in between, it goes without: two of one id would be in
-- two places.
local function add_stored_next(q, dedup, now)
  local key = q.base .. 'dn:' .. dedup
  local stored = ask('HMGET', key, 'name', 'data', 'opts', 'jid', 'pk', 'pd', 'rjk')
  local id = id_of_next(q, stored[4])
  if call('EXISTS', q.base .. id) == 1 then
    call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'duplicated', 'jobId', id)
    call('DEL', key)
    return
  end
  local job = next_options(stored[3] or '{}')
  job.timestamp = now
  job.name, job.data, job.opts = stored[1] or '', stored[2] or '{}', stored[3] or '{}'
  job.parent_key, job.parent, job.rjk = stored[5] or nil, stored[6] or '{}', stored[7] or nil
  job.dedup = dedup
  put_job(q, id, job)
  flush_pushes(q)
  call('SET', q.base .. 'de:' .. dedup, id)
  call('DEL', key)
  if stored[5] and parent_of(q, stored[5]) then
    call('SADD', stored[5] .. ':dependencies', q.base .. id)
  end
end

-- free_dedup lets go of the key that a finished job holds, and adds the job
-- that was stored to follow it. A key with an end lives until then.
local function free_dedup(q, id, dedup, now)
  local key = q.base .. 'de:' .. dedup
  local ttl = call('PTTL', key)
  if ttl == 0 or (ttl == -1 and ask('GET', key) == id) then
    call('DEL', key)
  end
  if call('EXISTS', q.base .. 'dn:' .. dedup) == 1 then
    add_stored_next(q, dedup, now)
  end
end
