-- @include session
-- @include flow
-- @include scheduled
-- What operations by hand have in common. Their first arguments are
--
-- ARGV  1 number of the call, empty for a dry run
--       2 base of the queue's keys
--       3 profile
--
-- A dry run writes nothing at all, no record of the call either.

local DRY = ARGV[1] == ''

-- Codes of what became of one job.
local DONE, NO_JOB, OTHER_STATE, LOCKED, SCHEDULED, AGAIN = 0, 1, 2, 3, 4, 5

-- operated_queue returns the queue, and the reply to the call if there is one
-- already.
local function operated_queue()
  if not DRY then
    local before, overtaken = session_reply(KEYS[1], ARGV[1])
    if before or overtaken then
      return nil, before or overtaken
    end
  end
  local q = queue_of(ARGV[2], ARGV[3])
  if not DRY then
    ask('XLEN', q.events)
    -- Most of all then there is something to be done by hand.
    free_first(q)
  end
  return q, nil
end

-- operated replies with the values, and keeps the reply.
local function operated(...)
  local reply = cmsgpack.pack(...)
  if not DRY then
    session_record(KEYS[1], ARGV[1], reply)
  end
  return reply
end

-- look_at returns fields of a job's hash, none if there is something else
-- under its name. The first is always its timestamp.
local function look_at(q, id, ...)
  local fields = redis.pcall('HMGET', q.base .. id, 'timestamp', ...)
  if fields.err then
    return { foreign = true }
  end
  return fields
end

-- is_job tells whether there is such a job.
local function is_job(q, id)
  return call('EXISTS', q.base .. id) == 1 and owns_keys(q, id, look_at(q, id).foreign)
end

-- drop_dedup lets go of the deduplication key that a removed job holds.
local function drop_dedup(q, id, dedup)
  if dedup and redis.pcall('GET', q.base .. 'de:' .. dedup) == id then
    call('DEL', q.base .. 'de:' .. dedup, q.base .. 'dn:' .. dedup)
  end
end
