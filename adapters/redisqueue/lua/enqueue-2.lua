-- Adds jobs, to one queue or several (protocol 2.2).
--
-- KEYS  1 the session's record
--       2 a key of the first queue, for the slot
-- ARGV  1 number of the call
--       2 what keys of receipts begin with
--       3 profile: v5, v6 or empty
--       4 how many jobs
--       then for each job: base of its queue's keys, and the arguments of
--       read_job (include/add.lua)
-- Reply  a MessagePack list of a status and an id for each job
-- @include session
-- @include add

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local now = clock_ms()
local count = tonumber(ARGV[4])
local STRIDE = JOB_FIELDS + 1

-- Counters move once for each queue.
local wanted = {}
for i = 0, count - 1 do
  local base = ARGV[5 + i * STRIDE]
  wanted[base] = (wanted[base] or 0) + 1
end
local counters, queues = {}, {}
for base in pairs(wanted) do
  check_queue(queue_of(base, ARGV[3]))
end
for base, n in pairs(wanted) do
  counters[base] = call('INCRBY', base .. 'id', n) - n
end

local answers = {}
local function add_all()
  for i = 0, count - 1 do
    local at = 5 + i * STRIDE
    local base = ARGV[at]
    local q = queue_of(base, ARGV[3])
    counters[base] = counters[base] + 1
    queues[base] = q
    local status, id = add_job(q, counters[base], read_job(at + 1, now), ARGV[2])
    answers[2 * i + 1], answers[2 * i + 2] = status, id
  end
end

-- Jobs that were stored before one that cannot be must not wait nowhere.
local ok, err = pcall(add_all)
for _, q in pairs(queues) do
  sign_queue(q)
  flush_pushes(q)
  call('XTRIM', q.events, 'MAXLEN', '~', max_events(q))
end
if not ok then
  error(err, 0)
end

reply = cmsgpack.pack(answers)
session_record(KEYS[1], ARGV[1], reply)
return reply
