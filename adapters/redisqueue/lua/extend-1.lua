-- Renews leases (protocol 2.10). Repeating it does no harm.
--
-- KEYS  1 Q:meta
-- ARGV  1 base of the queue's keys
--       2 length of a lease in ms
--       then for each lease: id, token
-- Reply  the positions of the leases that are lost, from 1 on

local call = redis.call
local base, length = ARGV[1], ARGV[2]
local locks, lost, held = {}, {}, {}
for at = 3, #ARGV, 2 do
  locks[#locks + 1] = base .. ARGV[at] .. ':lock'
end
if #locks == 0 then
  return lost
end
local tokens = call('MGET', unpack(locks))
for i = 1, #locks do
  local id, token = ARGV[1 + 2 * i], ARGV[2 + 2 * i]
  if tokens[i] == token then
    -- Not a SET: Redis refuses that while its memory is full.
    call('PEXPIRE', locks[i], length)
    held[#held + 1] = id
  else
    lost[#lost + 1] = i
  end
end
if #held > 0 then
  call('SREM', base .. 'stalled', unpack(held))
end
return lost
