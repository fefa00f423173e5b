-- Counts what is in each list and set of a queue, and the jobs of some
-- priorities (protocol 1.9). It writes nothing.
--
-- KEYS  1 Q:meta
-- ARGV  1 base of the queue's keys
--       then priorities
-- Reply  a list: the lengths of wait, paused, prioritized, delayed, active,
--        waiting-children, completed and failed; then, for each priority, how
--        many jobs have it

local call = redis.call
local base = ARGV[1]
local CLASS = 4294967296

local waiting, aside = call('LLEN', base .. 'wait'), call('LLEN', base .. 'paused')
local reply = {
  waiting, aside, call('ZCARD', base .. 'prioritized'), call('ZCARD', base .. 'delayed'), call('LLEN', base .. 'active'),
  call('ZCARD', base .. 'waiting-children'), call('ZCARD', base .. 'completed'), call('ZCARD', base .. 'failed'),
}
for at = 2, #ARGV do
  local priority = tonumber(ARGV[at])
  if priority == 0 then
    reply[#reply + 1] = waiting + aside
  else
    local first = string.format('%.0f', priority * CLASS)
    local last = string.format('%.0f', (priority + 1) * CLASS - 1)
    reply[#reply + 1] = call('ZCOUNT', base .. 'prioritized', first, last)
  end
end
return reply
