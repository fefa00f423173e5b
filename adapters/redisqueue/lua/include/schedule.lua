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

-- check_scheduler stops the call before anything is written if a key of the
-- scheduler is something else.
local function check_scheduler(q, scheduler)
  ask('ZCARD', q.base .. 'repeat')
  ask('HLEN', q.base .. 'repeat:' .. scheduler)
end
