-- Lengthens claims. Design: "Ledger". Repeatable.
--
-- KEYS[1]  the ledger
-- ARGV[1]  packed {claim, …}, a claim being {run, token}
-- ARGV[2]  lease in µs
--
-- Returns packed {renewal, …}: 1 held, 2 lost, 3 held and asked to give way.
-- @include ledger_claim

local HELD, LOST, CANCEL = 1, 2, 3

local claims, deadline = cmsgpack.unpack(ARGV[1]), now + tonumber(ARGV[2])
local names = {}
for i, claim in ipairs(claims) do
  names[i] = claim[1]
end
prefetch(runs, names)

prefetch_jobs(names)

local renewals = {}
for i, claim in ipairs(claims) do
  local run = held(claim[1], claim[2])
  renewals[i] = LOST
  if run then
    extend(claim[1], deadline)
    renewals[i] = is_cancelled(run) and CANCEL or HELD
  end
end
flush()
return cmsgpack.pack(renewals)
