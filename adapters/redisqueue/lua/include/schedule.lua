-- @include queue
-- The moments of a job scheduler's runs (protocol 2.18).

-- run_id returns the id of the scheduler's run that is planned for the ms.
local function run_id(scheduler, moment)
  return 'repeat:' .. scheduler .. ':' .. string.format('%.0f', moment)
end

-- slot_after returns the next moment of an interval. Runs that were missed are
-- not made up for.
local function slot_after(now, previous, every, offset)
  local next = previous + every
  if next > now then
    return next
  end
  next = math.floor(now / every) * every + offset
  return next > now and next or next + every
end

-- spoiled_key returns an error that names the first key of a scheduler that
-- holds something else, nil if there is none.
local function spoiled_key(q, scheduler)
  for command, key in pairs({ ZCARD = q.base .. 'repeat', HLEN = q.base .. 'repeat:' .. scheduler }) do
    local reply = try(command, key)
    if type(reply) == 'table' and reply.err then
      return redis.error_reply(reply.err .. ' (' .. key .. ')')
    end
  end
  return nil
end
