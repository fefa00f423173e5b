-- Sign of life of a replica, and the jobs that changed since a version.
-- Design: "Ledger". Repeatable.
--
-- KEYS[1]  the ledger
-- ARGV[1]  replica
-- ARGV[2]  digest of its definitions
-- ARGV[3]  version; 0 asks for all jobs
-- ARGV[4]  how long a silent replica keeps its definitions, in µs
-- ARGV[5]  the most jobs to look at
--
-- Returns packed {now in µs, known, version, more, {replica, …}, {job state, …}},
-- a job state being {job, cursor in ms, valid revision, own revision, paused}.
-- If known is false the definitions must be registered first; if more is true
-- the call goes on from the version.
-- @include ledger_definition
-- @include ledger_ended

local name, digest, since, silence, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- Whether the replica has the version from this store as it is. What it was told
-- by one that a failover has rewound says nothing of what has changed.
local is_told = false

-- How many replicas are forgotten in one call.
local MOST_FORGOTTEN = 50

-- greet tells whether the replica's definitions are registered.
local function greet()
  local replica, registration = fetch(replicas, name), registrations[digest]
  if replica then
    redis.call('ZADD', SEEN, now, name)
  end
  if not registration or not registration[COMPLETE] or (replica and replica[DIGEST] ~= digest) then
    return false
  end
  if not replica then
    redis.call('ZADD', SEEN, now, name)
    put(replicas, name, { digest, '' })
    join(digest)
    since = 0
  elseif replica[DIGEST_BEFORE] ~= '' then
    part_before(name, replica)
    since = 0
  else
    is_told = since == replica[TOLD] or since == replica[TOLD_BEFORE]
    since = is_told and since or 0
  end
  return true
end

-- silent_replicas returns those that are to be forgotten, whose records are read
-- then.
local function silent_replicas()
  local silent = redis.call('ZRANGEBYSCORE', SEEN, '-inf', now - silence, 'LIMIT', 0, MOST_FORGOTTEN)
  prefetch(replicas, silent)
  return silent
end

local function forget_replicas(silent)
  for _, other in ipairs(silent) do
    if other ~= name then
      local replica = fetch(replicas, other)
      if replica then
        part(replica[DIGEST])
        part(replica[DIGEST_BEFORE])
      end
      redis.call('HDEL', REPLICAS, other)
      redis.call('ZREM', SEEN, other)
    end
  end
end

-- look_at_leaving revalidates some of the jobs of registrations that nobody
-- has any more, and tells whether there are more.
local function look_at_leaving()
  local id, cursor = string.match(redis.call('LINDEX', LEAVING, 0) or '', '^(%d+) (%d+)$')
  if not id then
    return false
  end
  local key = registered_of(tonumber(id))
  local page, names = redis.call('HSCAN', key, cursor, 'COUNT', most), {}
  for i = 1, #page[2], 2 do
    names[#names + 1] = page[2][i]
  end
  revalidate(names)
  if page[1] ~= '0' then
    redis.call('LSET', LEAVING, 0, id .. ' ' .. page[1])
    return true
  end
  redis.call('UNLINK', key)
  redis.call('LPOP', LEAVING)
  return redis.call('EXISTS', LEAVING) == 1
end

-- states_since returns the states of the replica's jobs that changed, and
-- whether there are more.
local function states_since(version)
  local states = {}
  if since > version then
    since = 0
  end
  if since == version then
    return states, version, false
  end
  local after = '(' .. string.format('%.0f', since)
  local changes = redis.call('ZRANGEBYSCORE', CHANGES, after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  local names = {}
  for i = 1, #changes, 2 do
    names[#names + 1] = changes[i]
  end
  prefetch(jobs, names)
  local key, at = registered_of(registrations[digest][ID]), 0
  each_part(names, function(...)
    for _, revision in ipairs(redis.call('HMGET', key, ...)) do
      at = at + 1
      local job = revision and fetch(jobs, names[at])
      if job then
        states[#states + 1] = { names[at], job[CURSOR], job[VALID], tonumber(revision), job[PAUSED] }
      end
    end
  end)
  if #names < most then
    return states, version, false
  end
  return states, tonumber(changes[#changes]), true
end

-- tell takes note of the version that the replica is told, and of the one that
-- it has: the reply may get lost.
local function tell(version)
  local replica = fetch(replicas, name)
  if replica[TOLD] ~= version then
    replica[TOLD], replica[TOLD_BEFORE] = version, is_told and since or 0
    put(replicas, name, replica)
    flush_cache(replicas)
  end
end

-- A job whose record is damaged has no news; it stops no other's.
jobs.patient = true
local silent = silent_replicas()
local known = greet()
forget_replicas(silent)
-- What follows may meet a damaged record: who has which definitions must be
-- written whole before.
flush_definitions()
local leaving = look_at_leaving()
forget(ended_ticks, most)
forget(ended_others, most)
flush_definitions()
if not known then
  return cmsgpack.pack({ now, false, 0, false, {}, {} })
end
local version = tonumber(redis.call('HGET', L, 'version') or 0)
local states, reached, more = states_since(version)
tell(reached)
return cmsgpack.pack({ now, true, reached, more or leaving, redis.call('ZRANGE', SEEN, 0, -1), states })
