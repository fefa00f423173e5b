-- @include settle
-- Completing jobs that were plain when they were leased (lease_jobs in
-- include/lease.lua). Most jobs are, and when they still are, fewer questions
-- are to be asked than settle.lua asks.

local SETTLE_AT = 17

-- How many fields a plain job has once it is started: a name of the worker is
-- one more. If it has others, it may have got a parent meanwhile, or children
-- that failed it.
local STARTED_FIELDS = ARGV[6] == '' and 8 or 9

-- read_plain reads so many completions, the last of ARGV. Id, token and result of
-- the i-th are the arguments up to ARGV[before + i * 3].
local function read_plain(q, count)
  local ids, keys, locks = {}, {}, {}
  local base, before = q.base, #ARGV - count * PLAIN_WIDTH
  for i = 1, count do
    local id = ARGV[before + i * 3 - 2]
    local key = base .. id
    ids[i], keys[i], locks[i] = id, key, key .. ':lock'
  end
  return { ids = ids, keys = keys, locks = locks, before = before, n = count }
end

-- are_plain tells whether all jobs of the batch still are plain, with their
-- leases held and without children.
local function are_plain(q, batch)
  local keys, before, n, names = batch.keys, batch.before, batch.n, {}
  local held = call('MGET', unpack(batch.locks))
  for i = 1, n do
    local key = keys[i]
    if held[i] ~= ARGV[before + i * 3 - 1] or try('HLEN', key) ~= STARTED_FIELDS then
      return false
    end
    names[i] = key .. ':dependencies'
  end
  local stalled = q.base .. 'stalled'
  names[n + 1] = stalled
  local found = call('EXISTS', unpack(names))
  batch.stalled = found > 0 and call('EXISTS', stalled) == 1
  return found == 0 or (batch.stalled and found == 1)
end

-- release_plain drops the leases of the batch. Those of its jobs that were not
-- active are true in missing, if there are any.
local function release_plain(q, batch)
  -- The locks go last: what is of the wrong type stops the call before.
  if batch.stalled then
    call('SREM', q.base .. 'stalled', unpack(batch.ids))
  end
  batch.missing = take_in_order(q, batch.ids, batch.n)
  call('DEL', unpack(batch.locks))
end

-- end_plain adds the jobs to the completed ones, under the retention, or deletes
-- their keys: those that keep nothing leave what others have kept.
local function end_plain(q, batch, keep, scores, dead, now)
  local kept = scores[1] ~= nil
  if kept then
    call('ZADD', q.base .. 'completed', unpack(scores))
  end
  delete_keys(dead)
  batch.ended = true
  if kept and (keep.age or keep.count > 0) then
    purge(q, 'completed', now, keep)
  end
end

-- write_plain completes the jobs of the batch. It returns how many were active.
local function write_plain(q, batch, keep, now)
  local ids, keys, before, missing, events = batch.ids, batch.keys, batch.before, batch.missing, q.events
  local kept, scores, dead, n = keep.count ~= 0, {}, {}, 0
  for i = 1, batch.n do
    local id, key, result = ids[i], keys[i], ARGV[before + i * 3]
    if not missing or not missing[id] then
      if kept then
        call('HSET', key, 'returnvalue', result, 'finishedOn', stamp, 'atm', '1')
        scores[2 * n + 1], scores[2 * n + 2] = stamp, id
      else
        job_keys(dead, key)
      end
      n = n + 1
      if batch.n == 1 then
        -- What the purge does to others is told before, as Node does it.
        end_plain(q, batch, keep, scores, dead, now)
      end
      call('XADD', events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', result, 'prev', 'active')
    end
  end
  if not batch.ended then
    end_plain(q, batch, keep, scores, dead, now)
  end
  return n
end

-- restore_plain gives back the leases of jobs that could not be completed.
local function restore_plain(q, batch)
  for i = 1, batch.ended and 0 or batch.n do
    if not batch.missing or not batch.missing[batch.ids[i]] then
      call('SET', batch.locks[i], ARGV[batch.before + i * 3 - 1], 'PX', ARGV[5])
      call('RPUSH', q.active, batch.ids[i])
    end
  end
end

-- settle_plain completes the jobs of the batch.
local function settle_plain(q, now, batch, points)
  -- It stops the call, too, if the events are something else.
  trim_events(q)
  release_plain(q, batch)
  local ok, completed = pcall(write_plain, q, batch, kind_of(ARGV[14]).keep, now)
  if not ok then
    restore_plain(q, batch)
    error(completed, 0)
  end
  if points > 0 and completed > 0 then
    beside(q.base .. 'metrics:completed', count_finished, q, 'completed', completed, now, points)
  end
  q.finished = q.finished or completed > 0
end

-- all_codes joins the codes with commas, those of the plain batch last, if
-- there is one.
local function all_codes(codes, batch)
  for i = 1, batch and batch.n or 0 do
    codes[#codes + 1] = batch.missing and batch.missing[batch.ids[i]] and NOT_ACTIVE or OK
  end
  for _, code in ipairs(codes) do
    if code ~= OK then
      return table.concat(codes, ',')
    end
  end
  return ''
end

-- settle writes so many settlements, and so many completions of jobs that were
-- plain when they were leased. It returns their codes in this order, joined by
-- commas, or nothing when all went well. What is wrong with a parent comes in a
-- line behind them.
local function settle(q, now, others, plain, parked, points)
  local batch, fallen = plain > 0 and read_plain(q, plain), 0
  if batch and not are_plain(q, batch) then
    batch, fallen = nil, plain
  end
  local codes = others + fallen > 0 and settle_batch(q, now, SETTLE_AT, others, fallen, parked, points) or {}
  if batch then
    settle_plain(q, now, batch, points)
    if others == 0 and not batch.missing and not complaint then
      return ''
    end
  end
  return all_codes(codes, batch) .. (complaint and '\n' .. complaint or '')
end

-- drained_event says that nothing is left to do, after a call whose last
-- outcome finished a job: as Node's workers say it.
local function drained_event(q)
  if q.finished and ARGV[15] == '1' and call('EXISTS', q.wait, q.active, q.prioritized) == 0 then
    call('XADD', q.events, '*', 'event', 'drained')
  end
end
