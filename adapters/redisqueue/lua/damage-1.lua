-- Names a key that is something else than is kept there, after a call that the
-- server failed because of one: Redis does not say which.
--
-- KEYS  1 a key of the call, for the slot
-- ARGV  the other keys of the call, and those of its arguments that may be names
-- Reply  the key, empty if none is found

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

-- look tells whether the key is something else than the kind.
local function look(key, kind)
  local is = redis.call('TYPE', key).ok
  if not found and is ~= 'none' and is ~= kind then
    found = key
  end
  return found ~= nil
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
  local parent = fields[1]
  if parent and string.sub(parent, 1, #base - 1) ~= '' then
    local above = string.match(parent, '^(.*:)[^:]+$')
    if above and string.match(above, '^[^:]*') == string.match(base, '^[^:]*') and (look_at_job(above, parent, 0) or look_at_queue(above)) then
      return true
    end
  end
  return (fields[2] and look_at_names(base, fields[2])) or (fields[3] and look_at_names(base, fields[3])) or false
end

-- texts are the names, bases what those of queues begin with.
local texts, bases = { KEYS[1], unpack(ARGV) }, {}
for _, text in ipairs(texts) do
  local base = string.match(text, '^(.+:)meta$') or string.match(text, '^(.+:)repeat$') or string.match(text, '^(.+:)events$')
    or string.match(text, '^[^:]+:[^:]+:$')
  if base then
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
      if string.find(text, middle, 1, true) and look(text, kind) then
        return
      end
    end
    for base in pairs(bases) do
      if look_at_job(base, base .. text, 1) or look_at_names(base, text) then
        return
      end
    end
    local base, name = string.match(text, '^([^:]+:[^:]+:)([^:]+)$')
    if base and not QUEUE[name] and (look_at_job(base, text, 1) or look_at_queue(base)) then
      return
    end
  end
end

search()
return found or ''
