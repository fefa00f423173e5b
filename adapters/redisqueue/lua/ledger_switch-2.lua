-- Pauses or resumes a job. Design: "Ledger".
--
-- KEYS[1]  the session's record
-- KEYS[2]  the ledger
-- ARGV[1]  number of the call
-- ARGV[2]  job
-- ARGV[3]  1 to pause, 0 to resume
--
-- Returns 1, or 0 if there is no such job.
-- @include session
-- @include ledger_state

local name, pause = ARGV[2], ARGV[3] == '1'

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return overtaken or tonumber(before)
end

local job = fetch(jobs, name)
if not job then
  session_record(KEYS[1], ARGV[1], '0')
  return 0
end
if job[PAUSED] and not pause then
  job[CURSOR] = math.max(job[CURSOR], now_ms)
end
job[PAUSED] = pause
put(jobs, name, job)
touch(name)
flush()
session_record(KEYS[1], ARGV[1], '1')
return 1
