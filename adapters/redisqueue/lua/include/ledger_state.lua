-- The ledger of one namespace: what all its scripts read and write.
--
--   L                the ledger's own key, the last of KEYS: hash
--                      number   the latest number given out: tokens, versions, starts, registrations
--                      version  the number of the latest change
--   L:jobs           hash     job → record, packed: the fields below
--   L:changes        zset     job → number of its latest change
--   L:runs           hash     run → record, packed: the fields below
--   L:leases         zset     run that has not ended → end of its lease in µs
--   L:holders:<job>  zset     further holders of the slot → number of their start
--   L:ended:ticks, L:ended:others   lists of "<ms> <run>", the first to end first
--   L:seen           zset     replica → its latest sign of life in µs
--   and what ledger_definition.lua adds.
--
-- A run is named <origin>:<planned ms>:<job>, with @<id> unless it is a tick.
-- Numbers are store time in µs or the latest one plus one, whichever is
-- larger: they grow even when a failover has rewound the store. No key of the
-- ledger expires.
--
-- Records are read once in a call, changed in Lua, and written by flush.
-- @include raise

local L = KEYS[#KEYS]
if string.sub(L, -5) == ':void' then
  -- The key that never exists, in a cluster.
  L = KEYS[#KEYS - 1]
end
local JOBS, CHANGES = L .. ':jobs', L .. ':changes'
local RUNS, LEASES = L .. ':runs', L .. ':leases'

-- What keys of the ledger are. A call that met something else in its middle
-- would leave half of what it decides.
local TYPES = {
  hash = { L, JOBS, RUNS, L .. ':replicas', L .. ':registrations', L .. ':revisions' },
  zset = { CHANGES, LEASES, L .. ':seen' },
  list = { L .. ':ended:ticks', L .. ':ended:others', L .. ':leaving' },
}

-- check_type stops the call if the key is something else.
local function check_type(key, wanted)
  local kind = call('TYPE', key).ok
  if kind ~= wanted and kind ~= 'none' then
    raise('WRONGTYPE the key holds a ' .. kind .. ', want a ' .. wanted, key)
  end
end

for wanted, keys in pairs(TYPES) do
  for _, key in ipairs(keys) do
    check_type(key, wanted)
  end
end

-- A job's record. HOLDER and WAITER are runs or ''; BESIDE counts the members
-- of L:holders:<job>; all starts up to CANCELLED were asked to give way.
local CURSOR, MOVER, PAUSED, VALID, PRINT, HOLDER, BESIDE, WAITER, CANCELLED = 1, 2, 3, 4, 5, 6, 7, 8, 9

-- A run's record. STARTED is the number of its start, or 0; PUSHER is the run
-- that took its place in the wait, or '', and PUSHER_OWNER that run's replica.
-- Of a run that has ended the first two fields are left.
local TOKEN, OWNER, JOB, PHASE, RELEASED, CRASHES, ATTEMPTS, CLAIM_PRINT, GRANTED_AT, STARTED, PUSHER, PUSHER_OWNER =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

local PHASE_CLAIMED, PHASE_STARTED = 1, 2

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now / 1000)

-- How many values one command takes at most.
local MOST_VALUES = 2000

-- each_part calls f with parts of the list that fit into one command.
local function each_part(list, f)
  for first = 1, #list, MOST_VALUES do
    f(unpack(list, first, math.min(first + MOST_VALUES - 1, #list)))
  end
end

local number, number_before

local function next_number()
  if not number then
    number_before = tonumber(redis.call('HGET', L, 'number') or 0)
    number = number_before
  end
  number = math.max(number + 1, now)
  return number
end

-- unpacked returns what is packed under the name in the key. If that is no record,
-- or none of those that the cache has, it stops the call, or with a patient cache
-- counts as none.
local function unpacked(key, name, packed, cache)
  local ok, record = pcall(cmsgpack.unpack, packed)
  ok = ok and type(record) == 'table'
  if ok and cache and cache.shapes then
    local shape = cache.shapes[#record]
    ok = shape ~= nil
    for i = 1, ok and #shape or 0 do
      ok = ok and type(record[i]) == (shape[i] or type(record[i]))
    end
  end
  if ok then
    return record
  elseif not cache or not cache.patient then
    raise('ERR the record of "' .. name .. '" is damaged', key)
  end
  cache.damaged[name] = true
  return false
end

-- A cache holds the records of one hash that were read in this call; a name
-- without a record is there as false. Its shapes say of records with so many fields
-- what each is, false for anything. A patient cache has a damaged record as none:
-- what is wrong with one run, or with one job, must not stop those of all others.
local function new_cache(key, shapes, patient)
  return { key = key, shapes = shapes, patient = patient, damaged = {}, records = {}, dirty = {}, written = {} }
end

local jobs = new_cache(JOBS, {
  [9] = { 'number', 'string', 'boolean', 'number', false, 'string', 'number', 'string', 'number' },
})
local runs = new_cache(RUNS, {
  [2] = { 'number', 'string' },
  [12] = {
    'number', 'string', 'string', 'number', 'boolean', 'number', 'number', 'string', 'number', 'number', 'string', 'string',
  },
}, true)

-- prefetch reads the records of the names in one go.
local function prefetch(cache, names)
  local missing = {}
  for _, name in ipairs(names) do
    if cache.records[name] == nil then
      cache.records[name] = false
      missing[#missing + 1] = name
    end
  end
  local at = 0
  each_part(missing, function(...)
    for _, packed in ipairs(redis.call('HMGET', cache.key, ...)) do
      at = at + 1
      cache.records[missing[at]] = packed and unpacked(cache.key, missing[at], packed, cache)
    end
  end)
end

-- fetch returns the record of the name, or false.
local function fetch(cache, name)
  local record = cache.records[name]
  if record == nil then
    local packed = redis.call('HGET', cache.key, name)
    record = packed and unpacked(cache.key, name, packed, cache)
    cache.records[name] = record
  end
  return record
end

-- put takes note that the name has a new or changed record.
local function put(cache, name, record)
  cache.records[name], cache.damaged[name] = record, nil
  if not cache.dirty[name] then
    cache.dirty[name] = true
    cache.written[#cache.written + 1] = name
  end
end

-- touched are the jobs whose change is news to the replicas.
local touched, is_touched = {}, {}

local function touch(name)
  if not is_touched[name] then
    is_touched[name] = true
    touched[#touched + 1] = name
  end
end

-- deadlines are the leases that changed in this call, false for one that ended.
local deadlines = {}

local function extend(key, deadline) deadlines[key] = deadline end

local function is_alive(key)
  local deadline = deadlines[key]
  if deadline == nil then
    deadline = tonumber(redis.call('ZSCORE', LEASES, key) or 0)
  end
  return deadline and now < deadline
end

local function flush_cache(cache)
  local pairs_of = {}
  for _, name in ipairs(cache.written) do
    pairs_of[#pairs_of + 1] = name
    pairs_of[#pairs_of + 1] = cmsgpack.pack(cache.records[name])
  end
  each_part(pairs_of, function(...) redis.call('HSET', cache.key, ...) end)
  cache.dirty, cache.written = {}, {}
end

local function flush_leases()
  local kept, ended, texts = {}, {}, {}
  for key, deadline in pairs(deadlines) do
    if deadline then
      -- Most have one deadline, and it takes a while to write a number.
      texts[deadline] = texts[deadline] or string.format('%.0f', deadline)
      kept[#kept + 1] = texts[deadline]
      kept[#kept + 1] = key
    else
      ended[#ended + 1] = key
    end
  end
  each_part(kept, function(...) redis.call('ZADD', LEASES, ...) end)
  each_part(ended, function(...) redis.call('ZREM', LEASES, ...) end)
  deadlines = {}
end

local function flush_touched()
  local changes = {}
  for _, name in ipairs(touched) do
    changes[#changes + 1] = next_number()
    changes[#changes + 1] = name
  end
  each_part(changes, function(...) redis.call('ZADD', CHANGES, ...) end)
  if #touched > 0 then
    redis.call('HSET', L, 'version', number)
  end
  touched, is_touched = {}, {}
end

-- flush writes what changed.
local function flush()
  flush_cache(jobs)
  flush_cache(runs)
  flush_leases()
  flush_touched()
  if number ~= number_before then
    redis.call('HSET', L, 'number', number)
    number_before = number
  end
end
