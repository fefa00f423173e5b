-- Makes or changes a job scheduler, and plans its next run (protocol 2.18,
-- upsert).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 Q:repeat
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       3 profile
--       4 id of the scheduler
--       5 its interval in ms, empty for a pattern
--       6 when the pattern matches next, in ms; empty for now
--       7 where in each interval its runs lie, in ms; empty if that is not said
--       8 when it begins, in ms; empty for now
--       9 data of its jobs
--      10 options of the job as JSON, up to its id: {…,
--      11 priority of the job
--      12 1 if the job goes to the front of the line
--      then fields of the scheduler's hash with their values
-- Reply  MessagePack values: what became of it (0 for done, 10 for a run of
--        that id that is there already, 11 for too many of them), the id of the
--        run, when it is planned for, the number of iterations, the offset
-- @include session
-- @include schedule
-- @include flow
-- @include add

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return before or overtaken
end

local q = queue_of(ARGV[2], ARGV[3])
local scheduler, every = ARGV[4], tonumber(ARGV[5])
local offset, begin = tonumber(ARGV[7]), tonumber(ARGV[8])
local hash = q.base .. 'repeat:' .. scheduler
check_queue(q)
ask('LLEN', q.base .. 'paused')
check_scheduler(q, scheduler)
check_ids(q)
local now = clock_ms()

-- How many slots after the first are tried.
local SLOTS_MOST = 32

-- place_of returns the name of the list or set in which a run waits that is
-- not started, nil if there is none, and how to take it out.
local function place_of(run)
  for _, set in ipairs({ q.delayed, q.prioritized }) do
    if call('ZSCORE', set, run) then
      return set, 'ZREM'
    end
  end
  -- Lists take long to look through, and what is worked or finished is in none.
  if call('EXISTS', q.base .. run .. ':lock') == 1 or call('HEXISTS', q.base .. run, 'finishedOn') == 1 then
    return nil
  end
  for _, list in ipairs({ q.wait, q.base .. 'paused' }) do
    if call('LPOS', list, run, 'RANK', -1) then
      return list, 'LREM'
    end
  end
  return nil
end

-- take_run deletes the run that waits in the place.
local function take_run(run, place, command)
  if command == 'ZREM' then
    call('ZREM', place, run)
  else
    call('LREM', place, -1, run)
  end
  local list = {}
  job_keys(list, q.base .. run)
  delete_keys(list)
end

-- first_slot returns when the interval begins that the scheduler has not had
-- yet.
local function first_slot()
  if begin then
    return math.max(begin, now)
  elseif not offset then
    return now
  end
  local slot = math.floor(now / every) * every + offset
  return slot > now and slot or slot + every
end

-- moment_of returns when the next run is. pending tells that the last one that
-- was planned still waits: its time stays.
local function moment_of(previous, had, pending)
  if not every then
    return tonumber(ARGV[6]) or now
  elseif not previous or had ~= every then
    return first_slot()
  elseif pending then
    return previous
  end
  return slot_after(now, previous, every, offset or 0)
end

-- free_moment returns the moment or a later slot whose run is not there yet,
-- except for the one that is to be taken out; nil if there is none.
local function free_moment(moment, taken)
  for _ = 0, every and SLOTS_MOST or 0 do
    local run = run_id(scheduler, moment)
    if run == taken or call('EXISTS', q.base .. run) == 0 then
      return moment
    end
    moment = moment + (every or 0)
  end
  return nil
end

-- write_scheduler writes the definition anew.
local function write_scheduler(moment, shift, iterations)
  call('ZADD', KEYS[3], string.format('%.0f', moment), scheduler)
  call('DEL', hash)
  call('HSET', hash, 'offset', shift, 'ic', iterations, unpack(ARGV, 13))
end

-- add_run adds the run.
local function add_run(run, moment)
  local delay = math.max(moment - now, 0)
  local opts = ARGV[10] .. '"jobId":' .. cjson.encode(run) .. ',"delay":' .. int_text(delay) .. ',"timestamp":' .. stamp
  if not every then
    opts = opts .. ',"prevMillis":' .. string.format('%.0f', moment)
  end
  local name = ARGV[14]
  local job = {
    name = name, data = ARGV[9], opts = opts .. '}', timestamp = now, delay = delay, rjk = scheduler,
    priority = tonumber(ARGV[11]), lifo = ARGV[12] == '1',
  }
  store_job(q, run, job)
  place_job(q, run, job)
  flush_pushes(q)
end

local function upsert()
  local previous = tonumber(call('ZSCORE', KEYS[3], scheduler) or nil)
  local had = call('HMGET', hash, 'every', 'offset', 'ic')
  local old = previous and run_id(scheduler, previous)
  local place, command
  if old then
    place, command = place_of(old)
  end
  local moment = free_moment(moment_of(previous, tonumber(had[1]), place ~= nil), place and old)
  if not moment then
    return every and 11 or 10, '', '', '', ''
  end
  call('INCR', q.base .. 'id')
  local shift = offset or (place and tonumber(had[2])) or (every and moment % every or 0)
  local iterations = whole(had[3]) or 1
  if place then
    take_run(old, place, command)
  end
  local run = run_id(scheduler, moment)
  write_scheduler(moment, string.format('%.0f', shift), int_text(iterations))
  sign_queue(q)
  max_events(q)
  add_run(run, moment)
  return 0, run, string.format('%.0f', moment), int_text(iterations), string.format('%.0f', shift)
end

local reply = cmsgpack.pack(upsert())
session_record(KEYS[1], ARGV[1], reply)
return reply
