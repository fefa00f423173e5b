-- Removes the children that a job waits for, with those that they wait for, but
-- for failed ones and those that are being worked (protocol 2.15, remove
-- unprocessed children). The last one to go makes the job ready; children that
-- are not there are not waited for any more.
--
-- KEYS  1 the session's record
--       2 the job
-- ARGV  1 to 3 as in include/operate.lua
--       4 id of the job
--       5 where to go on: 0, or what the call before replied
-- Reply  MessagePack values: 1 if there is such a job; where to go on, empty at
--        the end; a list of the keys of the jobs that were removed
-- @include remove

-- How many children a call looks at, also below them, and how many jobs it
-- removes.
local LOOK, BELOW_MOST, PRUNE_MOST = '100', 2000, 200

local q, before = operated_queue()
if before then
  return before
end

local now = clock_ms()
local root = q.base .. ARGV[4]
local removed, seen, work = {}, {}, 0

local function exhausted()
  return #removed >= PRUNE_MOST or work > WORK_MOST
end

-- is_spared tells whether a child stays.
local function is_spared(job)
  return call('EXISTS', job.key .. ':lock') == 1 or call('ZSCORE', job.q.base .. 'failed', job.id) ~= false
end

local prune

-- prune_children removes the children that a job waits for.
local function prune_children(job, depth)
  for _, child in ipairs(ask('SRANDMEMBER', job.key .. ':dependencies', BELOW_MOST)) do
    local cq, id = parent_of(job.q, child)
    if cq then
      prune({ q = cq, id = id, key = child, above = job.key }, depth + 1)
    end
  end
end

-- prune removes a job, after those that it waits for.
prune = function(job, depth)
  if seen[job.key] or exhausted() or is_spared(job) then
    return
  end
  seen[job.key] = true
  if depth < DEPTH_MOST then
    prune_children(job, depth)
  end
  if not exhausted() then
    local gone, cost = remove_one(job, now)
    work = work + cost
    if gone then
      removed[#removed + 1] = job.key
    end
  end
end

-- is_ours tells whether the job knows itself as a child of the root: another
-- one that others may have put among its children is left alone.
local function is_ours(cq, id)
  return not is_reserved(id) and look_at(cq, id, 'parentKey')[2] == root
end

if call('EXISTS', root) == 0 then
  return operated(0, '', {})
end
check_release(q)
local page = ask('SSCAN', root .. ':dependencies', ARGV[5], 'COUNT', LOOK)
for _, child in ipairs(page[2]) do
  local cq, id = parent_of(q, child)
  if cq and not cq.prunable then
    check_release(cq)
    ask('ZCARD', cq.base .. 'completed')
    ask('ZCARD', cq.base .. 'failed')
    cq.prunable = true
  end
  if cq and call('EXISTS', child) == 0 then
    unlink_child(cq, child, root, now, false)
  elseif cq and is_ours(cq, id) then
    prune({ q = cq, id = id, key = child }, 0)
  end
end
local next = page[1] ~= '0' and page[1] or ''
if exhausted() then
  -- What was cut short is gone on with where it began.
  next = ARGV[5]
end
return operated(1, next, removed)
