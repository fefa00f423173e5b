-- @include slices
-- Making finished or delayed jobs ready again, one at a time (protocol 2.12,
-- 2.13 in the form of BullMQ 6.7).

-- is_lifo tells whether the job's options ask for the front of the line.
local function is_lifo(opts)
  if not opts or not string.find(opts, '"lifo"', 1, true) then
    return false
  end
  local ok, decoded = pcall(cjson.decode, opts)
  return ok and type(decoded) == 'table' and decoded.lifo == true
end

-- relink makes a parent wait for the child again that it had done with.
local function relink(q, child, parent_key, source)
  local pq = parent_of(q, parent_key)
  if not pq or call('TYPE', parent_key).ok ~= 'hash' then
    return
  end
  -- Nothing is written if a key is something else.
  for command, kind in pairs({ SCARD = ':dependencies', HLEN = ':processed', ZCARD = ':unsuccessful' }) do
    ask(command, parent_key .. kind)
  end
  ask('HLEN', parent_key .. ':failed')
  local known
  if source == 'completed' then
    known = call('HDEL', parent_key .. ':processed', child)
  else
    known = call('ZREM', parent_key .. ':unsuccessful', child) + call('HDEL', parent_key .. ':failed', child)
  end
  if known > 0 then
    call('SADD', parent_key .. ':dependencies', child)
  end
end

-- revivable tells whether the job has a hash: without one it stays where it is.
local function revivable(fields)
  for i = 1, 5 do
    if fields[i] then
      return true
    end
  end
  return false
end

local function revival_fields(q, id)
  return look_at(q, id, 'name', 'opts', 'priority', 'parentKey')
end

-- retry_job makes a job ready that has failed, or is completed: the source. What
-- may fail, as promote_job has it, too, comes first.
local function retry_job(q, id, fields, source)
  local key = q.base .. id
  waiting_event(q, id, source)
  call('HDEL', key, 'finishedOn', 'processedOn', source == 'completed' and 'returnvalue' or 'failedReason')
  line_up(q, id, tonumber(fields[4]) or 0, is_lifo(fields[3]) and 'RPUSH' or 'LPUSH')
  if fields[5] then
    tell_above(fields[5], key, relink, q, key, fields[5], source)
  end
end

-- promote_job makes a delayed job ready.
local function promote_job(q, id, fields)
  waiting_event(q, id, 'delayed')
  line_up(q, id, tonumber(fields[4]) or 0, 'LPUSH')
  call('HSET', q.base .. id, 'delay', 0)
end
