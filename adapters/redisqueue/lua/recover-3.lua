-- Returns to the queue the jobs whose leases ran out (protocol 2.9). A job is
-- recovered by the second scan after its lock is gone.
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       3 profile
--       4 how long the scan is guarded against another, in ms
--       5 how many crashes a job survives
--       6 when the scan began that the call goes on with, in ms, as the reply
--         before said; empty to begin one
-- Reply  a MessagePack list of id, name, crashes and "requeued", "over" (more
--        crashes than it survives: whoever fetches it fails it) or "missing"
--        (it had no hash and is dropped) for each recovered job; at its end
--        when the scan began if there are more jobs to recover, else empty
-- @include session
-- @include queue

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return before or overtaken
end

local OVER = 'job stalled more than allowable limit'

-- How many parked ids a scan looks at, for jobs that others have removed.
local PARKED_LOOK = 20

-- How many jobs one call recovers: a whole fleet may have died.
local MOST = 500

-- How many jobs are few enough to look for each in the list by itself.
local FEW_DEAD = 4

local now = clock_ms()
local q = queue_of(ARGV[2], ARGV[3])
local stalled, guard = q.base .. 'stalled', q.base .. 'stalled-check'

local function lives_on_schedule(key)
  local scheduler = call('HGET', key, 'rjk')
  if not scheduler then
    return false
  end
  return call('EXISTS', q.base .. 'repeat:' .. scheduler) == 1 or type(redis.pcall('ZSCORE', q.base .. 'repeat', scheduler)) == 'string'
end

-- crashed counts a crash. Whoever wrote something else there has lost count.
local function crashed(key)
  return math.min(math.max(bump(key, 'stc'), 0), 2147483647)
end

-- recover makes the job ready, and notes in done that it is in another place.
local function recover(id, answers, done)
  local key = q.base .. id
  local name = redis.pcall('HGET', key, 'name')
  local n = #answers
  if type(name) == 'table' or is_reserved(id) or (not name and call('EXISTS', key) == 0) then
    done[id] = true
    answers[n + 1], answers[n + 2], answers[n + 3], answers[n + 4] = id, '', 0, 'missing'
    return
  end
  local crashes = crashed(key)
  local action = 'requeued'
  if crashes > tonumber(ARGV[5]) and not lives_on_schedule(key) then
    call('HSET', key, 'defa', OVER)
    action = 'over'
  end
  call('RPUSH', ready_list(q), id)
  done[id] = true
  waiting_event(q, id, 'active')
  call('XADD', q.events, '*', 'event', 'stalled', 'jobId', id)
  answers[n + 1], answers[n + 2], answers[n + 3], answers[n + 4] = id, name or '', crashes, action
end

-- recover_all recovers those of the ids that are active.
local function recover_all(ids, is_active, answers, done)
  for _, id in ipairs(ids) do
    if is_active[id] then
      recover(id, answers, done)
    end
  end
end

-- push_all appends the ids to a key, many in one command.
local function push_all(command, key, ids)
  for from = 1, #ids, 5000 do
    call(command, key, unpack(ids, from, math.min(from + 4999, #ids)))
  end
end

-- leave_active takes the ids that are done out of the active ones, each once, and
-- returns those that are left. To look for each of many would take the square of
-- their number.
local function leave_active(active, done, count)
  local left = {}
  for _, id in ipairs(active) do
    if done[id] then
      done[id] = nil
      if count <= FEW_DEAD then
        call('LREM', q.active, 1, id)
      end
    else
      left[#left + 1] = id
    end
  end
  if #left < #active and count > FEW_DEAD then
    call('DEL', q.active)
    push_all('RPUSH', q.active, left)
  end
  return left
end

-- dead_of returns up to MOST of the ids that no worker has leased, and all that
-- are behind the last of them.
local function dead_of(ids)
  local dead, rest = {}, {}
  for _, id in ipairs(ids) do
    if #dead == MOST then
      rest[#rest + 1] = id
    elseif call('EXISTS', q.base .. id .. ':lock') == 0 then
      dead[#dead + 1] = id
    end
  end
  return dead, rest
end

-- forget_parked drops ids of jobs that are parked no more.
local function forget_parked()
  if call('EXISTS', KEYS[3]) == 0 then
    return
  end
  -- Names are hints: nothing else hangs on what is there.
  for _, id in ipairs(try('HRANDFIELD', KEYS[3], PARKED_LOOK)) do
    if not try('ZSCORE', q.delayed, id) then
      call('HDEL', KEYS[3], id)
    end
  end
end

-- begin tells whether there is to be a scan, or the one from before goes on, and
-- when it began.
local function begin()
  local began = try('GET', guard)
  if began then
    return began == ARGV[6], began
  end
  -- It fails here, before anything is taken, if a key is something else.
  ask('LLEN', ready_list(q))
  ask('LLEN', q.active)
  ask('SCARD', stalled)
  ask('XLEN', q.events)
  -- First what needs no memory: the scan goes on while that is full.
  trim_events(q)
  call('SET', guard, now, 'PX', ARGV[4])
  return true, int_text(now)
end

local function scan()
  local answers, done = {}, {}
  local wanted, began = begin()
  if not wanted then
    answers[1] = ''
    return answers
  end
  local ids, active, is_active = call('SMEMBERS', stalled), call('LRANGE', q.active, 0, -1), {}
  if #ids > 0 then
    call('DEL', stalled)
  end
  local dead, rest = dead_of(ids)
  for _, id in ipairs(active) do
    is_active[id] = true
  end
  local ok, err = pcall(recover_all, dead, is_active, answers, done)
  local left = leave_active(active, done, #dead)
  if not ok then
    error(err, 0)
  end
  if #answers > 0 then
    base_marker(q)
  end
  if #rest > 0 then
    push_all('SADD', stalled, rest)
    answers[#answers + 1] = began
    return answers
  end
  push_all('SADD', stalled, left)
  forget_parked()
  answers[#answers + 1] = ''
  return answers
end

local reply = cmsgpack.pack(scan())
session_record(KEYS[1], ARGV[1], reply)
return reply
