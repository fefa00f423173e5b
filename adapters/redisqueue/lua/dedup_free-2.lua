-- Frees a deduplication key by hand (protocol 2.15, "remove dedup key of a job").
-- The owner goes on, and a job that is kept to follow it does so still.
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       3 "key" for a key whoever holds it, "job" for that of a job, if it is
--         the owner
--       4 the key, or the id of the job
-- Reply  1 if the key was held and is free now, 0 if not, -1 if the job is not
--        there
-- @include session

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if overtaken then
  return overtaken
end
if before then
  return tonumber(before)
end

local call, base = redis.call, ARGV[2]

-- free lets go of the key, if owner holds it; nil stands for anybody.
local function free(dedup, owner)
  local key = base .. 'de:' .. dedup
  local held = call('GET', key)
  if not held or (owner and held ~= owner) then
    return 0
  end
  return call('DEL', key)
end

local function free_of_job(id)
  local fields = call('HMGET', base .. id, 'timestamp', 'deid')
  if fields[2] then
    return free(fields[2], id)
  end
  return call('EXISTS', base .. id) - 1
end

local freed
if ARGV[3] == 'key' then
  freed = free(ARGV[4], nil)
else
  freed = free_of_job(ARGV[4])
end
session_record(KEYS[1], ARGV[1], tostring(freed))
return freed
