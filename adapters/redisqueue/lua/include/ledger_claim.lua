-- Claims: the right to act on a run.
-- @include ledger_state
-- @include ledger_ended
-- @include ledger_slot

-- held returns the record of the run if the token is the latest name of its
-- claim and it has an owner.
local function held(key, token)
  local run = fetch(runs, key)
  if not run or run[TOKEN] ~= token or is_ended(run) or run[RELEASED] then
    return nil
  end
  return run
end

-- end_run frees the run's slot or place and remembers its end.
local function end_run(key, run)
  extend(key, false)
  leave(key, run)
  remember(key, run)
end

-- prefetch_jobs reads the jobs of the runs, which were read before. A damaged one
-- does not stop the runs of others, and neither do they end.
local function prefetch_jobs(keys)
  jobs.patient = true
  local names = {}
  for _, key in ipairs(keys) do
    local run = fetch(runs, key)
    if run and not is_ended(run) then
      names[#names + 1] = run[JOB]
    end
  end
  prefetch(jobs, names)
  check_holders(names)
end

-- append_claim adds to the list what a claim tells.
local function append_claim(list, run)
  for _, field in ipairs({ TOKEN, PHASE, GRANTED_AT, CRASHES, ATTEMPTS, CLAIM_PRINT }) do
    list[#list + 1] = run[field]
  end
  return list
end

local function flush_claims()
  flush()
  flush_ended()
end
