-- Answers intents, in order. Design: "Ledger".
--
-- KEYS[1]  the session's record
-- KEYS[2]  the ledger
-- ARGV[1]  number of the call
-- ARGV[2]  packed {intent, …}, an intent being {run, job, replica, fingerprint,
--          moves, from, to in ms, move only, held token or 0, slot, lease in µs,
--          whether it is a tick}
--
-- Returns packed {verdict, …}, a verdict being {kind, has a cursor, cursor in ms,
-- blocking run or '', owner or ''} and, when granted or queued, what the claim
-- tells: {…, token, phase, granted at in µs, crashes, attempts, fingerprint}. The
-- owner is a zero byte if the record of the job is damaged: its ticks are passed
-- over, and those of others decided.
-- @include session
-- @include ledger_claim

local RUN, RUN_JOB, REPLICA, FINGERPRINT, MOVES, FROM, TO, MOVE_ONLY, HELD, SLOT, LEASE, IS_TICK =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

local GRANTED, MOVED, TAKEN, BLOCKED, QUEUED, PAUSE, SUPERSEDED, LOST = 1, 2, 3, 4, 5, 6, 7, 8

local function owner_of(key)
  local run = fetch(runs, key)
  return run and run[OWNER] or ''
end

-- take_slot decides whether the claim starts, waits or is over. It returns the
-- kind of the verdict, and the run that blocks or is waited for with its owner.
local function take_slot(key, run, job, slot)
  local name = run[JOB]
  if slot == SLOT_LATER or run[PHASE] == PHASE_STARTED then
    return GRANTED
  end
  if run[PUSHER] ~= '' and slot ~= SLOT_FREE then
    local by, owner = run[PUSHER], run[PUSHER_OWNER]
    local pusher = fetch(runs, by)
    end_run(key, run)
    return BLOCKED, by, pusher and pusher[OWNER] or owner
  end
  local by = blocker(name, job, key, slot)
  if not by then
    start(name, job, key, run, slot)
    return GRANTED
  end
  if wait(name, job, key, run, slot) then
    return QUEUED, by, owner_of(by)
  end
  end_run(key, run)
  return BLOCKED, by, owner_of(by)
end

-- open claims the run for the intent's replica.
local function open(intent)
  local run = {
    next_number(), intent[REPLICA], intent[RUN_JOB], PHASE_CLAIMED, false, 0, 0, intent[FINGERPRINT], now, 0, '', '',
  }
  put(runs, intent[RUN], run)
  extend(intent[RUN], now + intent[LEASE])
  return run
end

-- taken_by returns who has the intent's run or has decided its tick, or nil. Of a
-- run whose record is damaged the cursor tells, if it is a tick; others are taken.
local function taken_by(job, intent)
  local run = not intent[MOVE_ONLY] and fetch(runs, intent[RUN])
  if run then
    return run[OWNER]
  elseif runs.damaged[intent[RUN]] and not intent[MOVES] then
    return ''
  end
  if intent[MOVES] and intent[FROM] ~= job[CURSOR] then
    return job[MOVER]
  end
  return nil
end

-- decide_new answers an intent that holds no claim yet.
local function decide_new(job, intent)
  if not job or job[PRINT] ~= intent[FINGERPRINT] then
    return SUPERSEDED
  end
  local owner = taken_by(job, intent)
  if owner then
    return TAKEN, '', owner
  end
  if intent[MOVES] then
    job[CURSOR], job[MOVER] = math.max(job[CURSOR], intent[TO]), intent[REPLICA]
    put(jobs, intent[RUN_JOB], job)
    touch(intent[RUN_JOB])
  end
  if intent[MOVE_ONLY] then
    return MOVED
  elseif job[PAUSED] and intent[IS_TICK] then
    return PAUSE
  end
  return take_slot(intent[RUN], open(intent), job, intent[SLOT])
end

-- decide_held answers an intent that asks for the slot under a claim.
local function decide_held(job, intent)
  local run = held(intent[RUN], intent[HELD])
  if not run or not job then
    return LOST, '', owner_of(intent[RUN])
  end
  extend(intent[RUN], now + intent[LEASE])
  return take_slot(intent[RUN], run, job, intent[SLOT])
end

-- decide_damaged answers an intent about a job whose record is damaged.
local function decide_damaged(intent)
  local kind = intent[HELD] ~= 0 and LOST or intent[MOVES] and TAKEN or SUPERSEDED
  return { kind, intent[MOVES], intent[TO], '', '\0' }
end

-- decide answers an intent, and returns the verdict.
local function decide(intent)
  local job = fetch(jobs, intent[RUN_JOB])
  if jobs.damaged[intent[RUN_JOB]] then
    return decide_damaged(intent)
  end
  local answer = intent[HELD] == 0 and decide_new or decide_held
  local kind, by, owner = answer(job, intent)
  local verdict = { kind, job and true or false, job and job[CURSOR] or 0, by or '', owner or '' }
  if kind == GRANTED or kind == QUEUED then
    append_claim(verdict, fetch(runs, intent[RUN]))
  end
  return verdict
end

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local intents = cmsgpack.unpack(ARGV[2])
local run_names, job_names = {}, {}
for i, intent in ipairs(intents) do
  run_names[i], job_names[i] = intent[RUN], intent[RUN_JOB]
end
prefetch(runs, run_names)
jobs.patient = true
prefetch(jobs, job_names)
check_holders(job_names)

local verdicts = {}
for i, intent in ipairs(intents) do
  verdicts[i] = decide(intent)
end
flush_claims()
reply = cmsgpack.pack(verdicts)
session_record(KEYS[1], ARGV[1], reply)
return reply
