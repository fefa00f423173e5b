-- Writes progress, data and log lines of jobs under their leases (protocol
-- 2.20).
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       3 profile
--       4 how many notes
--       then for each note: id, token, "p" and progress or empty, "d" and data
--       or empty, how many log lines to keep (0 for all), how many lines come,
--       the lines
-- Reply  a MessagePack list of the positions of the notes whose lease is lost,
--        from 1 on
-- @include session
-- @include queue

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return before or overtaken
end

local q = queue_of(ARGV[2], ARGV[3])
ask('XLEN', q.events)

-- What others left in the place of the log must not stop the jobs' other notes.
-- A server whose memory is full refuses the first write of a call alone: nothing
-- is written then, and the call may be repeated.
local function write_lines(key, at, keep, count)
  for from = at, at + count - 1, 1000 do
    local ok, err = pcall(call, 'RPUSH', key, unpack(ARGV, from, math.min(from + 999, at + count - 1)))
    if not ok and string.find(type(err) == 'table' and err.err or err, 'OOM', 1, true) then
      error(err, 0)
    end
  end
  if keep > 0 and count > 0 then
    redis.pcall('LTRIM', key, -keep, -1)
  end
end

local lost = {}
local at = 5
for i = 1, tonumber(ARGV[4]) do
  local id, progress, data = ARGV[at], ARGV[at + 2], ARGV[at + 3]
  local key, count = q.base .. id, tonumber(ARGV[at + 5])
  if call('GET', key .. ':lock') ~= ARGV[at + 1] or call('EXISTS', key) == 0 then
    lost[#lost + 1] = i
  else
    if data ~= '' then
      call('HSET', key, 'data', string.sub(data, 2))
    end
    if progress ~= '' then
      local value = string.sub(progress, 2)
      call('HSET', key, 'progress', value)
      call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'progress', 'jobId', id, 'data', value)
    end
    write_lines(key .. ':logs', at + 6, tonumber(ARGV[at + 4]), count)
  end
  at = at + 6 + count
end

local reply = cmsgpack.pack(lost)
session_record(KEYS[1], ARGV[1], reply)
return reply
