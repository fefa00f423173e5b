-- Who registers which definitions, and which revision of a job is valid.
-- Replicas with equal definitions share one registration, found by its digest.
-- @include ledger_state
--
--   L:replicas         hash  replica → {digest, digest before, version told,
--                            version told before}, packed; the digest before is
--                            '' but while definitions change
--   L:registrations    hash  digest → {id, replicas that have it, complete}, packed
--   L:registered:<id>  hash  job → revision
--   L:leaving          list  registrations that nobody has any more and whose
--                            jobs are looked at bit by bit: "<id> <cursor of HSCAN>"
--   L:revisions        hash  job → {number forgotten, fingerprint, …}, packed

local REPLICAS, REGISTRATIONS = L .. ':replicas', L .. ':registrations'
local REVISIONS, LEAVING, SEEN = L .. ':revisions', L .. ':leaving', L .. ':seen'

local DIGEST, DIGEST_BEFORE, TOLD, TOLD_BEFORE = 1, 2, 3, 4
local ID, SHARED_BY, COMPLETE = 1, 2, 3

-- The definitions that a job remembers; an older one would count as new.
local MOST_REVISIONS = 32

-- registered_of returns the key of the registration, which is a hash.
local function registered_of(id)
  local key = L .. ':registered:' .. string.format('%.0f', id)
  check_type(key, 'hash')
  return key
end

local replicas, revisions = new_cache(REPLICAS), new_cache(REVISIONS)

-- registrations are those that a live replica has, by digest.
local registrations = {}
do
  local all = redis.call('HGETALL', REGISTRATIONS)
  for i = 1, #all, 2 do
    registrations[all[i]] = unpacked(REGISTRATIONS, all[i], all[i + 1])
  end
end

local function put_registration(digest, registration)
  registrations[digest] = registration
  redis.call('HSET', REGISTRATIONS, digest, cmsgpack.pack(registration))
end

-- join counts one more replica with the definitions.
local function join(digest)
  local registration = registrations[digest] or { next_number(), 0, false }
  registration[SHARED_BY] = registration[SHARED_BY] + 1
  put_registration(digest, registration)
end

-- part counts one replica less with the definitions. Without any they leave.
local function part(digest)
  local registration = registrations[digest]
  if not registration then
    return
  end
  registration[SHARED_BY] = registration[SHARED_BY] - 1
  if registration[SHARED_BY] > 0 then
    put_registration(digest, registration)
    return
  end
  registrations[digest] = nil
  redis.call('HDEL', REGISTRATIONS, digest)
  redis.call('RPUSH', LEAVING, string.format('%.0f 0', registration[ID]))
end

-- part_before ends the change of the replica's definitions.
local function part_before(name, replica)
  if replica[DIGEST_BEFORE] ~= '' then
    part(replica[DIGEST_BEFORE])
    replica[DIGEST_BEFORE] = ''
    put(replicas, name, replica)
  end
end

-- newest_of returns for each job the newest revision that a replica registers,
-- 0 for none.
local function newest_of(names)
  local newest = {}
  for i = 1, #names do
    newest[i] = 0
  end
  for _, registration in pairs(registrations) do
    local key, at = registered_of(registration[ID]), 0
    each_part(names, function(...)
      for _, revision in ipairs(redis.call('HMGET', key, ...)) do
        at = at + 1
        newest[at] = math.max(newest[at], tonumber(revision or 0))
      end
    end)
  end
  return newest
end

-- print_of returns the fingerprint of the job's revision, or false if it was
-- forgotten.
local function print_of(name, revision)
  local prints = fetch(revisions, name)
  return prints and revision > prints[1] and prints[revision - prints[1] + 1] or false
end

-- revalidate makes the newest revision valid that a replica registers, from
-- now on. While no replica registers a job its last one stays valid.
local function revalidate(names)
  prefetch(jobs, names)
  for i, newest in ipairs(newest_of(names)) do
    local name = names[i]
    local job = fetch(jobs, name)
    if job and newest ~= 0 and newest ~= job[VALID] then
      job[VALID], job[PRINT] = newest, print_of(name, newest)
      job[CURSOR] = math.max(job[CURSOR], now_ms)
      put(jobs, name, job)
      touch(name)
    end
  end
end

-- revision_of returns the number of the job's definition, a new one for a new one.
local function revision_of(name, fingerprint)
  local prints = fetch(revisions, name) or { 0 }
  for i = 2, #prints do
    if prints[i] == fingerprint then
      return prints[1] + i - 1
    end
  end
  prints[#prints + 1] = fingerprint
  if #prints - 1 > MOST_REVISIONS then
    prints[1] = prints[1] + 1
    table.remove(prints, 2)
  end
  put(revisions, name, prints)
  return prints[1] + #prints - 1
end

local function flush_definitions()
  flush()
  flush_cache(replicas)
  flush_cache(revisions)
end
