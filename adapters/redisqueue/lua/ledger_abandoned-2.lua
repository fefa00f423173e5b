-- Takes over claims whose lease ran out or that were released, the one that
-- lapsed first first. Design: "Ledger".
--
-- KEYS[1]  the session's record
-- KEYS[2]  the ledger
-- ARGV[1]  number of the call
-- ARGV[2]  replica
-- ARGV[3]  lease in µs
-- ARGV[4]  the most claims to take
-- ARGV[5]  how many lapsed claims to pass over
-- ARGV[6]  the most claims to look at
--
-- Returns packed {more, claims passed over in all, {claim, …}, {run, …}}, a claim
-- being {run, token, phase, granted at in µs, crashes, attempts, fingerprint}. If
-- more is true there are lapsed claims that were not looked at. The runs are those
-- whose records are damaged: they are set aside, and nobody is told of them again.
-- @include session
-- @include ledger_claim
-- @include ledger_definition

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local name, lease, most, passed, look = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local replica = fetch(replicas, name)
local registration = replica and registrations[replica[DIGEST]]
if not registration then
  return cmsgpack.pack({ false, 0, {}, {} })
end
local registered = registered_of(registration[ID])

local function take_over(key, run)
  if run[PHASE] == PHASE_STARTED and not run[RELEASED] then
    run[CRASHES] = run[CRASHES] + 1
  end
  run[RELEASED], run[OWNER], run[TOKEN] = false, name, next_number()
  put(runs, key, run)
  extend(key, now + lease)
  return append_claim({ key }, run)
end

local lapsed = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', passed, look)
prefetch(runs, lapsed)

local claims, aside, looked = {}, {}, 0
for _, key in ipairs(lapsed) do
  if #claims == most then
    break
  end
  looked = looked + 1
  local run = fetch(runs, key)
  if runs.damaged[key] then
    extend(key, false)
    note_end(key)
    aside[#aside + 1] = key
  elseif not run or is_ended(run) then
    extend(key, false) -- deleted, or added, by a stranger
  elseif redis.call('HEXISTS', registered, run[JOB]) == 1 then
    claims[#claims + 1] = take_over(key, run)
  else
    passed = passed + 1
  end
end
flush_claims()
reply = cmsgpack.pack({ looked == look, passed, claims, aside })
session_record(KEYS[1], ARGV[1], reply)
return reply
