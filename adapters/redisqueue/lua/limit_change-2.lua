-- Changes a limit of a queue (protocol 1.3, 2.20, 3.7).
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       3 profile
--       4 what: "concurrency", "rate" or "hold"
--       5 jobs at a time, jobs in a window, or the ms of the hold; 0 ends it
--       6 the window in ms
-- Reply  1
-- @include session
-- @include queue

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return overtaken or 1
end

local q = queue_of(ARGV[2], ARGV[3])
local what, amount, ends = ARGV[4], ARGV[5], ARGV[5] == '0'
if what == 'hold' then
  local key = q.base .. 'limiter'
  if ends then
    call('DEL', key)
  else
    call('SET', key, string.format('%.0f', MANUAL_LIMIT), 'PX', amount)
  end
elseif what == 'rate' then
  if ends then
    call('HDEL', KEYS[2], 'max', 'duration')
  else
    call('HSET', KEYS[2], 'max', amount, 'duration', ARGV[6])
  end
elseif ends then
  call('HDEL', KEYS[2], 'concurrency')
  q.concurrency = nil
else
  call('HSET', KEYS[2], 'concurrency', amount)
  q.concurrency = tonumber(amount)
end

-- Workers that found the queue blocked sleep: what may start now wakes one, and
-- that the next.
if what ~= 'hold' or ends then
  if call('EXISTS', q.wait, q.prioritized) > 0 then
    base_marker(q)
  end
end
session_record(KEYS[1], ARGV[1], '1')
return 1
