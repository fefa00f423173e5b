-- Ends claims. Design: "Ledger".
--
-- KEYS[1]  the session's record
-- KEYS[2]  the ledger
-- ARGV[1]  number of the call
-- ARGV[2]  packed {result, …}, a result being {run, token, end, attempts};
--          end: 1 fired, 2 finished, 3 released
--
-- Returns packed {whether the claim was still held, …}.
-- @include session
-- @include ledger_claim

local RELEASE = 3

local function finish(key, token, how, attempts)
  local run = fetch(runs, key)
  if not run or run[TOKEN] ~= token then
    return false
  elseif is_ended(run) then
    return true
  elseif run[RELEASED] then
    return how == RELEASE
  end
  if how == RELEASE then
    run[RELEASED], run[ATTEMPTS] = true, attempts
    put(runs, key, run)
    extend(key, now)
  else
    end_run(key, run)
  end
  return true
end

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local results = cmsgpack.unpack(ARGV[2])
local names = {}
for i, result in ipairs(results) do
  names[i] = result[1]
end
prefetch(runs, names)
prefetch_jobs(names)

local answers = {}
for i, result in ipairs(results) do
  answers[i] = finish(result[1], result[2], result[3], result[4])
end
flush_claims()
reply = cmsgpack.pack(answers)
session_record(KEYS[1], ARGV[1], reply)
return reply
