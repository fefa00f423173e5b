-- Publishes an event of somebody's own.
--
-- KEYS  1 the session's record
--       2 Q:events
-- ARGV  1 number of the call
--       2 base of the queue's keys
--       then the fields and their values, beginning with the event's name
-- Reply  the id of the entry
-- @include session
-- @include queue

local before, overtaken = session_reply(KEYS[1], ARGV[1])
if before or overtaken then
  return before or overtaken
end

local q = queue_of(ARGV[2], '')
local id = call('XADD', KEYS[2], 'MAXLEN', '~', q.max_events or MAX_EVENTS, '*', unpack(ARGV, 3))
session_record(KEYS[1], ARGV[1], id)
return id
