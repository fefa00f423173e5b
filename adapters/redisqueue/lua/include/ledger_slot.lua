-- The overlap slot of a job: its holders and the run that waits.
-- @include ledger_state
-- @include ledger_ended

local SLOT_LATER, SLOT_FREE, SLOT_SKIP, SLOT_QUEUE, SLOT_PREEMPT = 0, 1, 2, 3, 4

local function is_ended(run) return #run == 2 end

local function holders_of(name)
  jobs.holders = jobs.holders or {}
  if not jobs.holders[name] then
    local key = L .. ':holders:' .. name
    check_type(key, 'zset')
    jobs.holders[name] = key
  end
  return jobs.holders[name]
end

-- check_holders stops the call, before it changes anything, if what the jobs'
-- further holders are in is something else. Their names may come several times.
local function check_holders(names)
  local seen = {}
  for _, name in ipairs(names) do
    local job = fetch(jobs, name)
    if job and (seen[name] or job[HOLDER] ~= '' or job[BESIDE] > 0) then
      holders_of(name)
    end
    seen[name] = true
  end
end

-- promote makes the next holder the first one.
local function promote(name, job)
  job[HOLDER] = ''
  if job[BESIDE] > 0 then
    job[HOLDER] = redis.call('ZPOPMIN', holders_of(name))[1] or ''
    job[BESIDE] = job[HOLDER] == '' and 0 or job[BESIDE] - 1
  end
  put(jobs, name, job)
end

-- first_holder returns the run that has held the slot longest, or nil. A run
-- without a record was deleted by a stranger and holds nothing; one whose record
-- is damaged holds it as long as its lease lives.
local function first_holder(name, job)
  while job[HOLDER] ~= '' do
    local holder = job[HOLDER]
    local run = fetch(runs, holder)
    if run and not is_ended(run) or runs.damaged[holder] and is_alive(holder) then
      return holder
    end
    promote(name, job)
  end
  return nil
end

-- waiting returns the run that the slot is kept for while its lease lives.
local function waiting(job)
  if job[WAITER] ~= '' and is_alive(job[WAITER]) then
    return job[WAITER]
  end
  return nil
end

-- blocker returns the run that keeps the one named key from starting.
local function blocker(name, job, key, slot)
  if slot == SLOT_FREE then
    return nil
  end
  local holder = first_holder(name, job)
  if holder then
    return holder
  end
  local waiter = waiting(job)
  if slot ~= SLOT_PREEMPT and waiter ~= key then
    return waiter
  end
  return nil
end

-- displace gives the place in the wait to the run named key; whoever had it
-- never comes back into it.
local function displace(name, job, key, run)
  local before = job[WAITER] ~= '' and job[WAITER] ~= key and fetch(runs, job[WAITER])
  if before and not is_ended(before) then
    before[PUSHER], before[PUSHER_OWNER] = key, run[OWNER]
    put(runs, job[WAITER], before)
  end
  job[WAITER] = key
  put(jobs, name, job)
end

-- start gives the slot to the run.
local function start(name, job, key, run, slot)
  if slot == SLOT_PREEMPT then
    displace(name, job, key, run)
  end
  if job[WAITER] == key then
    job[WAITER] = ''
  end
  run[PHASE], run[STARTED] = PHASE_STARTED, next_number()
  if job[HOLDER] == '' then
    job[HOLDER] = key
  else
    redis.call('ZADD', holders_of(name), run[STARTED], key)
    job[BESIDE] = job[BESIDE] + 1
  end
  put(jobs, name, job)
  put(runs, key, run)
end

-- wait gives the run the place behind the holders if it may have it.
local function wait(name, job, key, run, slot)
  if slot == SLOT_PREEMPT then
    displace(name, job, key, run)
    job[CANCELLED] = next_number()
    return true
  end
  local waiter = slot == SLOT_QUEUE and waiting(job)
  if slot ~= SLOT_QUEUE or (waiter and waiter ~= key) then
    return false
  end
  job[WAITER] = key
  put(jobs, name, job)
  return true
end

-- leave frees the run's slot or place.
local function leave(key, run)
  local name = run[JOB]
  local job = fetch(jobs, name)
  if not job then
    return
  end
  if job[WAITER] == key then
    job[WAITER] = ''
    put(jobs, name, job)
  end
  if job[HOLDER] == key then
    promote(name, job)
  elseif run[STARTED] > 0 and job[BESIDE] > 0 then
    job[BESIDE] = job[BESIDE] - redis.call('ZREM', holders_of(name), key)
    put(jobs, name, job)
  end
end

-- is_cancelled tells whether a newer run asks this holder to give way.
local function is_cancelled(run)
  local job = run[STARTED] > 0 and fetch(jobs, run[JOB])
  return job and run[STARTED] <= job[CANCELLED]
end
