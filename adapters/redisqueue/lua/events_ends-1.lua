-- Tells where a queue's stream of events begins and ends. It writes nothing.
--
-- KEYS  1 Q:events
-- Reply  the ids of the first and the latest entry, and how many entries were
--        removed, as in include/events.lua
-- @include events

local first, last, removed = stream_ends(KEYS[1])
return { first, last, removed }
