-- Reads the limits of a queue and how far they are used (protocol 1.9, 3.7). It
-- changes nothing.
--
-- KEYS  1 Q:meta
-- ARGV  1 base of the queue's keys
--       2 profile
--       3 jobs that may start in a window unless the queue says so itself, 0
--         if there is no limit
--       4 jobs that may start whatever the queue says, 0 to go by that
-- Reply  a list: global concurrency, empty if there is none; jobs of the global
--        rate limit, likewise, and its window in ms; jobs under way; for how
--        many ms no job may start
-- @include queue

local q = queue_of(ARGV[1], ARGV[2])

-- held_for returns for how many ms no job may start.
local function held_for(own_max, asked_max)
  local key = q.base .. 'limiter'
  local used = tonumber(call('GET', key))
  local max = (asked_max > 0 and asked_max) or q.max or (own_max > 0 and own_max) or MANUAL_LIMIT
  return used and used >= max and math.max(call('PTTL', key), 0) or 0
end

local function text_of(number)
  return number and string.format('%.0f', number) or ''
end

return {
  text_of(q.concurrency), text_of(q.max), text_of(q.duration), text_of(call('LLEN', q.active)),
  text_of(held_for(tonumber(ARGV[3]), tonumber(ARGV[4]))),
}
