-- Settles leases and hands out the next ones, in one step (protocol 2.3, 2.4,
-- 2.6 to 2.8, 2.16).
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 number of the call
--       2 base of the queue's keys, "bull:mail:"
--       3 profile: v5, v6 or empty
--       4 token of the new leases
--       5 length of a lease in ms
--       6 name of the worker, may be empty
--       7 how many jobs to hand out at most
--       8 largest payload in bytes
--       9 the worker's own rate limit, jobs; 0 for none
--      10 ... in so many ms
--      11 minutes of metrics to keep, 0 for none
--      12 how many settlements
--      13 how many completions of jobs that were plain when they were leased
--      (lease_jobs in include/lease.lua)
--      14 the kind that these have in common
--      15 "1" if the last settlement finishes its job
--      16 which of the settlements and completions comes first, second and so on
--      for the caller, apart by commas; empty if it is the order below
--      then for each settlement its kind, id, token, and:
--
--      C completed      result; the kind is followed by the retention
--      F failed         reason, attempts, stack traces; likewise
--      R retry now      reason, "l" for LIFO, stack traces
--      D retry later    reason, delay in ms, stack traces
--      S put off        delay in ms; uncharged
--      P parked         job name, delay in ms; uncharged
--      B back           to the front
--      L rate limit     ms for which the queue is held; the job goes back
--      W children       the job waits for them
--      X dropped        what has the job's name is no job
--
--      and for each completion of a plain job its id, token and result, in the
--      order in which they were leased
--
-- Reply  a list: a string of "code,code,...", empty when all are 0, and in a line behind it what is
--        wrong with a parent, or with "!" before it with something else beside the outcomes; what to wait for ("l" and ms for a rate limit, "d" and the ms until the first delayed job is due,
--        "e" when there is none and no more is ready, "r" when more is ready,
--        "b" while the queue is blocked, "n" for nothing known), and then the
--        new leases (lease_jobs and lease_of in include/lease.lua)
-- @hot int_text clock_ms session_reply session_record ask whole queue_of max_events trim_events next_due promote_due
-- @hot kind_of keep_of put_back take_in_order delete_keys job_keys
-- @hot read_plain are_plain release_plain end_plain write_plain settle_plain settle drained_event
-- @hot limit_left allowed pop_ready whole_size say_started close_run lease_jobs lease_or_leave count_started fetch
-- @include session
-- @include retention
-- @include dedup
-- @include metrics
-- @include plain
-- @include fetch

local q_base, session_number = ARGV[2], ARGV[1]
local before, overtaken = session_reply(KEYS[1], session_number)
if overtaken then
  return overtaken
end
local q = queue_of(q_base, ARGV[3])
if before then
  return repeat_reply(q, before)
end

local now = clock_ms()
local codes = ''
local others, plain = tonumber(ARGV[12]), tonumber(ARGV[13])
local settles = others + plain > 0
if settles then
  codes = settle(q, now, others, plain, KEYS[3], tonumber(ARGV[11]))
end
local reply = { codes, 'n' }
if not settles then
  fetch(q, now, reply)
elseif not pcall(fetch, q, now, reply) then
  -- The outcomes are written; what is wrong with the queue, the next call for
  -- jobs alone will say.
  reply = { codes, 'n' }
end
if q.new_delayed then
  -- Not before: the fetch takes those that are due.
  pcall(delay_marker, q)
end
if settles and #reply == 2 and (reply[2] == 'n' or reply[2] == 'e') then
  drained_event(q)
end
session_record(KEYS[1], session_number, codes)
return reply
