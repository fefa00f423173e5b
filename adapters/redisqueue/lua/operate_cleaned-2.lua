-- Says how many jobs a clean removed (protocol 2.15).
--
-- KEYS  1 the session's record
--       2 Q:meta
-- ARGV  1 to 3 as in include/operate.lua
--       4 how many
-- Reply  a MessagePack number: 0
-- @include operate

local q, before = operated_queue()
if before then
  return before
end

call('XADD', q.events, '*', 'event', 'cleaned', 'count', ARGV[4])
return operated(0)
