-- Puts the jobs of claimed runs on their queues and marks the runs fired, in
-- one step. Design: "Dispatcher"; protocol 2.2.
--
-- KEYS[1]  the session's record
-- KEYS[2]  a key of the first queue, for the slot
-- KEYS[3]  the ledger
-- ARGV[1]  number of the call
-- ARGV[2]  what keys of receipts begin with
-- ARGV[3]  profile: v5, v6 or empty
-- ARGV[4]  how many dispatches
--          then for each dispatch: run, token, base of its queue's keys, and
--          the arguments of read_job (include/add.lua) with id and receipt
--
-- Returns packed {status, id, …}, two for each dispatch: 1 dispatched, 2
-- blocked by the job id, 3 lost, 4 refused because of what is said in the place
-- of the id: the run is still held.
-- @include session
-- @include add
-- @include ledger_claim

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local DISPATCHED, BLOCKED, LOST, REFUSED = 1, 2, 3, 4

local queue_ms = clock_ms()
local STRIDE = JOB_FIELDS + 3

local dispatches = {}
local run_keys = {}
for i = 1, tonumber(ARGV[4]) do
  local at = 5 + (i - 1) * STRIDE
  run_keys[i] = ARGV[at]
  dispatches[i] = {
    key = ARGV[at], token = tonumber(ARGV[at + 1]), base = ARGV[at + 2], job = read_job(at + 3, queue_ms),
  }
end
prefetch(runs, run_keys)
prefetch_jobs(run_keys)

-- open_queue returns a queue and the next value of its counter.
local function open_queue(base, n)
  local q = queue_of(base, ARGV[3])
  check_queue(q)
  return q, take_ids({ [base] = n })[base]
end

-- Counters move once for each queue.
local wanted = {}
for _, d in ipairs(dispatches) do
  if held(d.key, d.token) then
    wanted[d.base] = (wanted[d.base] or 0) + 1
  end
end
-- What is wrong with one queue must not stop the others' jobs.
local counters, queues, damaged, used = {}, {}, {}, {}
for base, n in pairs(wanted) do
  local ok, q, counter = pcall(open_queue, base, n)
  if ok then
    queues[base], counters[base] = q, counter
  elseif string.find(words_of(q), '^%-?OOM') then
    -- It passes, and nothing is written yet.
    error(q, 0)
  else
    damaged[base] = words_of(q)
  end
end

-- dispatched_before returns the job of a run that its owner has dispatched.
local function dispatched_before(d)
  local run = fetch(runs, d.key)
  return run and is_ended(run) and run[TOKEN] == d.token and call('GET', ARGV[2] .. d.job.receipt)
end

local function dispatch(d)
  local run = held(d.key, d.token)
  if not run then
    local id = dispatched_before(d)
    return id and DISPATCHED or LOST, id or ''
  elseif damaged[d.base] then
    return REFUSED, damaged[d.base]
  end
  local counter = counters[d.base]
  counters[d.base] = counter + 1
  local ok, status, id = pcall(add_job, queues[d.base], counter, d.job, ARGV[2])
  if not ok then
    return REFUSED, words_of(status)
  end
  used[d.base] = true
  end_run(d.key, run)
  return status == DEDUPLICATED and id ~= d.job.id and BLOCKED or DISPATCHED, id
end

local answers = {}
for i, d in ipairs(dispatches) do
  answers[2 * i - 1], answers[2 * i] = dispatch(d)
end
for base, q in pairs(queues) do
  if used[base] then
    sign_queue(q)
    flush_pushes(q)
    call('XTRIM', q.events, 'MAXLEN', '~', max_events(q))
  else
    return_ids(base, wanted[base])
  end
end
flush_claims()

reply = cmsgpack.pack(answers)
session_record(KEYS[1], ARGV[1], reply)
return reply
