-- Adds the job that follows one of a job scheduler (protocol 2.18, next
-- iteration). It does so for the scheduler's pending job alone, so that
-- repeating it does no harm and neither does a retry of a job. The scheduler
-- goes on to the next job when that is there, and not before: one whose job is
-- missing would end.
--
-- KEYS  1 Q:meta
--       2 Q:repeat
-- ARGV  1 base of the queue's keys
--       2 profile
--       3 id of the scheduler
--       4 id of the job that was leased
--       5 when the next job runs, in ms, for a pattern; empty for an interval
--       6 name of the job; empty for that of the job that was leased, which may
--         be too large to hand out
--       7 options of the next job as JSON, up to its id: {…,
--       8 data of the job that was leased, for schedulers that keep none; empty
--         for what it has
--       9 priority of the next job
-- Reply  the id of the next job, empty if none was added
-- @include schedule
-- @include add

local q = queue_of(ARGV[1], ARGV[2])
local scheduler, leased = ARGV[3], ARGV[4]
check_queue(q)
check_scheduler(q, scheduler)
check_ids(q)
local now = clock_ms()
local hash = q.base .. 'repeat:' .. scheduler

local function next_moment(previous)
  if ARGV[5] ~= '' then
    return tonumber(ARGV[5])
  end
  local fields = call('HMGET', hash, 'every', 'offset')
  local every = tonumber(fields[1])
  if not every or every < 1 then
    return nil
  end
  return slot_after(now, previous, every, tonumber(fields[2]) or previous % every)
end

-- leased_field returns the argument, or if it is empty what the leased job has.
local function leased_field(argument, field)
  if argument ~= '' then
    return argument
  end
  local key = q.base .. leased
  return ask('HGET', key, field) or raise('ERR no ' .. field .. ' for the next job', key)
end

-- template_data returns the data of the scheduler's jobs, and whether it is to
-- be written down. Repeatable jobs of old have theirs in the job alone; BullMQ 5
-- writes it down for the next one.
local function template_data()
  local data = call('HGET', hash, 'data')
  if data then
    return data, false
  end
  data = leased_field(ARGV[8], 'data')
  return data, q.profile == 'v5' and data ~= '{}'
end

-- options_of returns the options of the job as JSON.
local function options_of(id, delay, moment)
  local opts = ARGV[7] .. '"jobId":' .. cjson.encode(id) .. ',"delay":' .. int_text(delay) .. ',"timestamp":' .. stamp
  if ARGV[5] ~= '' then
    opts = opts .. ',"prevMillis":' .. moment
  end
  return opts .. '}'
end

local function add_next(previous)
  local moment = next_moment(previous)
  if not moment then
    return ''
  end
  local text = string.format('%.0f', moment)
  local id = run_id(scheduler, moment)
  -- First what needs no memory: schedules go on while that is full.
  trim_events(q)
  if call('EXISTS', q.base .. id) == 1 then
    call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'duplicated', 'jobId', id)
    return ''
  end
  local delay = math.max(moment - now, 0)
  local name, data, keep_data = leased_field(ARGV[6], 'name'), template_data()
  put_job(q, id, {
    name = name, data = data, opts = options_of(id, delay, text), timestamp = now, delay = delay, rjk = scheduler,
    priority = tonumber(ARGV[9]), lifo = false,
  })
  flush_pushes(q)
  call('ZADD', KEYS[2], text, scheduler)
  bump(hash, 'ic')
  call('INCR', q.base .. 'id')
  if keep_data then
    call('HSET', hash, 'data', data)
  end
  return id
end

local score = call('ZSCORE', KEYS[2], scheduler)
if not score or run_id(scheduler, tonumber(score)) ~= leased then
  return ''
end
return add_next(tonumber(score))
