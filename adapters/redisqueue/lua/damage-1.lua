-- Names a key that is something else than is kept there, after a call that the
-- server failed because of one: Redis does not say which.
--
-- KEYS  1 a key of the call, for the slot
-- ARGV  1 what the keys of all queues begin with, "bull:"
--       2 what those of Takt alone begin with
--       then the keys of the call, and those of its arguments that may be names
-- Reply  the key, empty if none is found
--
-- Arguments are what others like to write: none of them leads to keys that begin
-- otherwise, and there is an end to what is looked at.

local PREFIX, OWN_PREFIX = ARGV[1], ARGV[2]

-- How many keys are looked at.
local MOST = 20000

local QUEUE = {
  wait = 'list', paused = 'list', active = 'list', delayed = 'zset', prioritized = 'zset', ['waiting-children'] = 'zset',
  completed = 'zset', failed = 'zset', ['repeat'] = 'zset', events = 'stream', meta = 'hash', stalled = 'set', ['stalled-check'] = 'string',
  marker = 'zset', limiter = 'string', id = 'string', pc = 'string', ['metrics:completed'] = 'hash', ['metrics:failed'] = 'hash',
  ['metrics:completed:data'] = 'list', ['metrics:failed:data'] = 'list',
}
local COUNTERS = { id = true, pc = true, limiter = true }
local JOB = {
  [''] = 'hash', [':lock'] = 'string', [':logs'] = 'list', [':dependencies'] = 'set', [':processed'] = 'hash', [':failed'] = 'hash',
  [':unsuccessful'] = 'zset',
}
local NAMED = { ['de:'] = 'string', ['dn:'] = 'hash', ['repeat:'] = 'hash' }
local OWN = { [':parked:'] = 'hash', [':session:'] = 'string', [':receipt:'] = 'string', [':probe'] = 'string' }

local found
local left = MOST

-- begins tells whether the text begins so.
local function begins(text, start) return string.sub(text, 1, #start) == start end

-- split returns of a key what the keys of its queue begin with, and the rest;
-- nil for what is no queue's.
local function split(text)
  local queue, rest = string.match(text, '^([^:]+:)(.*)$', #PREFIX + 1)
  if queue and begins(text, PREFIX) then
    return PREFIX .. queue, rest
  end
  return nil
end

-- look tells whether the search is over, the key being something else than the
-- kind.
local function look(key, kind)
  local is = redis.call('TYPE', key).ok
  left = left - 1
  if not found and is ~= 'none' and is ~= kind then
    found = key
  end
  return found ~= nil or left <= 0
end

-- is_count tells whether the key holds a number that is not too large to count
-- on.
local function is_count(key)
  local text = redis.call('GET', key)
  return not text or (string.match(text, '^-?%d+$') and #text < 16)
end

local function look_at_queue(base)
  for name, kind in pairs(QUEUE) do
    local key = base .. name
    if look(key, kind) then
      return true
    elseif COUNTERS[name] and not is_count(key) then
      found = key
      return true
    end
  end
  return false
end

local function look_at_names(base, name)
  for before, kind in pairs(NAMED) do
    if look(base .. before .. name, kind) then
      return true
    end
  end
  return false
end

-- look_at_job looks at the keys of a job, and of those that it names.
local function look_at_job(base, key, depth)
  for after, kind in pairs(JOB) do
    if look(key .. after, kind) then
      return true
    end
  end
  if depth == 0 or redis.call('TYPE', key).ok ~= 'hash' then
    return false
  end
  local fields = redis.call('HMGET', key, 'parentKey', 'deid', 'rjk')
  local above, parent = split(fields[1] or '')
  if above and string.match(parent, '^[^:]+$') and (look_at_job(above, fields[1], 0) or look_at_queue(above)) then
    return true
  end
  return (fields[2] and look_at_names(base, fields[2])) or (fields[3] and look_at_names(base, fields[3])) or false
end

-- texts are the names, bases what those of queues begin with.
local texts, bases = { KEYS[1], unpack(ARGV, 3) }, {}
for _, text in ipairs(texts) do
  local base, name = split(text)
  if base and (name == '' or name == 'meta' or name == 'repeat' or name == 'events') then
    bases[base] = true
  end
end

local function search()
  for base in pairs(bases) do
    if look_at_queue(base) then
      return
    end
  end
  for _, text in ipairs(texts) do
    for middle, kind in pairs(OWN) do
      if begins(text, OWN_PREFIX) and string.find(text, middle, 1, true) and look(text, kind) then
        return
      end
    end
    for base in pairs(bases) do
      if look_at_job(base, base .. text, 1) or look_at_names(base, text) then
        return
      end
    end
    local base, name = split(text)
    if base and string.match(name, '^[^:]+$') and not QUEUE[name] and (look_at_job(base, text, 1) or look_at_queue(base)) then
      return
    end
  end
end

search()
return found or ''
