-- Registers some of a replica's definitions. Design: "Ledger". Repeatable.
--
-- KEYS[1]  the ledger
-- ARGV[1]  replica
-- ARGV[2]  digest of all its definitions
-- ARGV[3]  1 for the first part of them, else 0
-- ARGV[4]  1 for the last part of them, else 0
-- ARGV[5]  packed {job, fingerprint, job, fingerprint, …}, each job once
--
-- Returns 1, or 0 if the replica was forgotten or renamed its definitions
-- meanwhile: it begins again.
-- @include ledger_definition

local name, digest, is_first, is_last = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4] == '1'
local definitions = cmsgpack.unpack(ARGV[5])

local replica = fetch(replicas, name)
if is_first then
  if not replica then
    replica = { digest, '' }
    join(digest)
  elseif replica[DIGEST] ~= digest then
    part_before(name, replica)
    replica = { digest, replica[DIGEST], replica[TOLD], replica[TOLD_BEFORE] }
    join(digest)
  end
  put(replicas, name, replica)
  -- What follows may meet a damaged record.
  flush_definitions()
end
local registration = registrations[digest]
if not replica or replica[DIGEST] ~= digest or not registration then
  return 0
end
redis.call('ZADD', SEEN, now, name)

local names = {}
for i = 1, #definitions, 2 do
  names[#names + 1] = definitions[i]
end
-- A job whose record is damaged begins anew.
jobs.patient = true
prefetch(jobs, names)
prefetch(revisions, names)

-- The revisions under which the replica had the jobs until now.
local before = {}
local registration_before = registrations[replica[DIGEST_BEFORE]]
if registration_before then
  local at = 0
  each_part(names, function(...)
    for _, revision in ipairs(redis.call('HMGET', registered_of(registration_before[ID]), ...)) do
      at = at + 1
      before[at] = revision and tonumber(revision)
    end
  end)
end

local registered = {}
for i, job_name in ipairs(names) do
  if not fetch(jobs, job_name) then
    put(jobs, job_name, { now_ms, '', false, 0, false, '', 0, '', 0 })
  end
  local revision = revision_of(job_name, definitions[2 * i])
  registered[#registered + 1] = job_name
  registered[#registered + 1] = revision
  if before[i] ~= revision then
    touch(job_name)
  end
end
each_part(registered, function(...) redis.call('HSET', registered_of(registration[ID]), ...) end)
revalidate(names)

if is_last then
  if not registration[COMPLETE] then
    registration[COMPLETE] = true
    put_registration(digest, registration)
  end
  part_before(name, replica)
end
flush_definitions()
return 1
