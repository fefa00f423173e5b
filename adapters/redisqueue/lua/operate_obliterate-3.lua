-- Removes a slice of all that there is of a paused queue, and, when no job is
-- left, what the queue itself has (protocol 2.15). Beyond what Node removes it
-- takes parents that wait for their children, and the rate limit.
--
-- KEYS  1 the session's record
--       2 Q:meta
--       3 the names of parked jobs by id
-- ARGV  1 to 3 as in include/operate.lua
--       4 "1" to remove active jobs as well
--       5 how many jobs to remove at most
-- Reply  MessagePack values: 0 if all is done, 1 if there is more, 2 if the
--        queue is not paused, 3 if jobs are active; a list of the ids that were
--        removed, and the parents that could not be told
-- @include slices

local q, before = operated_queue()
if before then
  return before
end

local FINISHED, MORE, NOT_PAUSED, ACTIVE = 0, 1, 2, 3
local now, left = clock_ms(), tonumber(ARGV[5])
local removed = {}

if not q.paused then
  return operated(NOT_PAUSED, removed, untold)
elseif ARGV[4] ~= '1' and call('LLEN', q.active) > 0 then
  return operated(ACTIVE, removed, untold)
end

-- It fails here, before anything is removed, if a key is something else.
for _, name in ipairs({ 'wait', 'paused', 'active' }) do
  ask('LLEN', q.base .. name)
end
for _, name in ipairs({ 'delayed', 'repeat', 'completed', 'prioritized', 'failed', 'waiting-children' }) do
  ask('ZCARD', q.base .. name)
end

local function remove(ids)
  local found = {}
  for i, id in ipairs(ids) do
    found[i] = look_at(q, id, 'parentKey', 'deid')
    removed[#removed + 1] = id
  end
  remove_jobs(q, ids, found, now)
  left = left - #ids
end

local function empty_list(name)
  local ids = list_slice(q.base .. name, 0, left)
  if #ids > 0 then
    call('LTRIM', q.base .. name, 0, -#ids - 1)
  end
  if name == 'active' then
    local locks = {}
    for i, id in ipairs(ids) do
      locks[i] = q.base .. id .. ':lock'
    end
    delete_keys(locks)
  end
  remove(ids)
end

local function empty_set(name)
  local ids = set_slice(q.base .. name, 0, left)
  take_ranked(q.base .. name, ids)
  remove(ids)
end

-- drop_schedulers removes the definitions whose runs are gone by then.
local function drop_schedulers()
  local ids, hashes = set_slice(q.base .. 'repeat', 0, left), {}
  for i, id in ipairs(ids) do
    hashes[i] = q.base .. 'repeat:' .. id
  end
  take_ranked(q.base .. 'repeat', ids)
  delete_keys(hashes)
  left = left - #ids
end

local steps = {
  { 'active', empty_list }, { 'delayed', empty_set }, { 'repeat', drop_schedulers }, { 'completed', empty_set }, { 'wait', empty_list },
  { 'paused', empty_list }, { 'prioritized', empty_set }, { 'failed', empty_set }, { 'waiting-children', empty_set },
}
for _, step in ipairs(steps) do
  if left <= 0 then
    return operated(MORE, removed, untold)
  end
  step[2](step[1])
end
if left <= 0 then
  return operated(MORE, removed, untold)
end
local names = {
  'events', 'delay', 'stalled-check', 'stalled', 'id', 'pc', 'marker', 'meta', 'limiter', 'metrics:completed', 'metrics:failed',
  'metrics:completed:data', 'metrics:failed:data',
}
for i, name in ipairs(names) do
  names[i] = q.base .. name
end
names[#names + 1] = KEYS[3]
call('UNLINK', unpack(names))
return operated(FINISHED, removed, untold)
