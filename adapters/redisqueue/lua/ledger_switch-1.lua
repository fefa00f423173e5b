-- Pauses or resumes a job. Design: "Ledger". Repeatable.
--
-- KEYS[1]  the ledger
-- ARGV[1]  job
-- ARGV[2]  1 to pause, 0 to resume
--
-- Returns 1, or 0 if there is no such job.
-- @include ledger_state

local name, pause = ARGV[1], ARGV[2] == '1'

local job = fetch(jobs, name)
if not job then
  return 0
end
if job[PAUSED] and not pause then
  job[CURSOR] = math.max(job[CURSOR], now_ms)
end
job[PAUSED] = pause
put(jobs, name, job)
touch(name)
flush()
return 1
