-- @include session
-- @include events
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

-- The last id that an event can have.
local LAST_EVENT = '18446744073709551615-18446744073709551615'

-- append_all appends the values of a list to another.
local function append_all(list, values)
  for _, value in ipairs(values) do
    list[#list + 1] = value
  end
end

-- check_change stops the call before anything changes if a key that an
-- operation writes to is something else, or takes no more: others may have
-- written an event after which none can come.
local function check_change(q)
  check_queue(q)
  local _, last = stream_ends(q.events)
  if last == LAST_EVENT then
    raise('ERR the stream takes no more entries', q.events)
  end
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

-- Parents that could not be told what becomes of a child, each once: its key,
-- the child's, and why, one after the other.
local untold, spoken_of = {}, {}

-- tell_above calls a function that tells the parent of a job. What is wrong with
-- a parent must not keep its child; the reply to the call tells of it.
local function tell_above(parent_key, child, what, ...)
  local ok, err = pcall(what, ...)
  if ok or spoken_of[parent_key] then
    return
  end
  spoken_of[parent_key] = true
  append_all(untold, { parent_key, child, words_of(err) })
end
