-- Tells whether a job is finished, and where the stream of events ends at that
-- moment: the event of its end comes after that, if it is not. It writes
-- nothing.
--
-- KEYS  1 Q:events
-- ARGV  1 base of the queue's keys
--       2 id of the job
-- Reply  "completed", "failed", "missing" or "pending"; what the job returned
--        or why it failed; the id of the latest event
-- @include queue
-- @include events

local base, id = ARGV[1], ARGV[2]
local _, last = stream_ends(KEYS[1])

-- told returns a text of the job, empty if it has none.
local function told(field)
  return call('HGET', base .. id, field) or ''
end

if is_reserved(id) or call('EXISTS', base .. id) == 0 then
  return { 'missing', '', last }
elseif call('ZSCORE', base .. 'completed', id) then
  return { 'completed', told('returnvalue'), last }
elseif call('ZSCORE', base .. 'failed', id) then
  return { 'failed', told('failedReason'), last }
end
return { 'pending', '', last }
