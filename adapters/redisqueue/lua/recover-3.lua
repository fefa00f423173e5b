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
-- Reply  a MessagePack list of id, name, crashes and "requeued", "over" (more
--        crashes than it survives: whoever fetches it fails it) or "missing"
--        (it had no hash and is dropped) for each recovered job
-- @include session
-- @include queue

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return before or overtaken
end

local OVER = 'job stalled more than allowable limit'

-- How many parked ids a scan looks at, for jobs that others have removed.
local PARKED_LOOK = 20

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

local function recover(id, answers)
  local key = q.base .. id
  local name = redis.pcall('HGET', key, 'name')
  local n = #answers
  if type(name) == 'table' or is_reserved(id) or (not name and call('EXISTS', key) == 0) then
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
  waiting_event(q, id, 'active')
  call('XADD', q.events, '*', 'event', 'stalled', 'jobId', id)
  answers[n + 1], answers[n + 2], answers[n + 3], answers[n + 4] = id, name or '', crashes, action
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

local function scan()
  local answers = {}
  if call('EXISTS', guard) == 1 then
    return answers
  end
  -- It fails here, before anything is taken, if a key is something else.
  ask('LLEN', ready_list(q))
  ask('LLEN', q.active)
  ask('SCARD', stalled)
  ask('XLEN', q.events)
  -- First what needs no memory: the scan goes on while that is full.
  trim_events(q)
  call('SET', guard, now, 'PX', ARGV[4])
  local ids = call('SMEMBERS', stalled)
  if #ids > 0 then
    call('DEL', stalled)
  end
  for _, id in ipairs(ids) do
    if call('EXISTS', q.base .. id .. ':lock') == 0 and call('LREM', q.active, 1, id) == 1 then
      recover(id, answers)
    end
  end
  if #answers > 0 then
    base_marker(q)
  end
  local active = call('LRANGE', q.active, 0, -1)
  for from = 1, #active, 5000 do
    call('SADD', stalled, unpack(active, from, math.min(from + 4999, #active)))
  end
  forget_parked()
  return answers
end

local reply = cmsgpack.pack(scan())
session_record(KEYS[1], ARGV[1], reply)
return reply
