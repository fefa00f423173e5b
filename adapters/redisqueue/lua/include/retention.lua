-- @include flow
-- Which finished jobs stay (protocol 2.5).

-- How many jobs beyond its count, and how many that are too old, a policy
-- removes in one call, so that a new policy on a large set does not stop the
-- server. The ends that follow remove the others.
local PURGE_MOST = 1000

-- beside does what must not stop an outcome either, about the key. Its complaint
-- is no parent's.
local function beside(key, step, ...)
  local ok, err = pcall(step, ...)
  if not ok then
    local words = words_of(err)
    complaint = complaint or '!' .. (string.sub(words, -1) == ')' and words or words .. ' (' .. key .. ')')
  end
end

-- forget_jobs deletes finished jobs and their links to parents.
local function forget_jobs(q, ids, now)
  local list = {}
  for _, id in ipairs(ids) do
    local key = q.base .. id
    local parent = redis.pcall('HGET', key, 'parentKey')
    if type(parent) == 'string' then
      tell(unlink_child, q, key, parent, now, false)
    end
    if owns_keys(q, id, type(parent) == 'table') then
      job_keys(list, key)
    end
  end
  delete_keys(list)
end

-- drop_over drops jobs from completed or failed: those older than age seconds, at
-- most limit of them and no more than a call may, and then all but the newest
-- count.
local function drop_over(q, set, now, keep)
  local key = q.base .. set
  if keep.age then
    local old = call('ZREVRANGEBYSCORE', key, now - keep.age * 1000, 0, 'LIMIT', 0, math.min(keep.limit, PURGE_MOST))
    if #old > 0 then
      forget_jobs(q, old, now)
      for from = 1, #old, 3000 do
        call('ZREM', key, unpack(old, from, math.min(from + 2999, #old)))
      end
    end
  end
  if keep.count > 0 then
    local over = math.min(call('ZCARD', key) - keep.count, PURGE_MOST)
    if over > 0 then
      forget_jobs(q, call('ZRANGE', key, 0, over - 1), now)
      call('ZREMRANGEBYRANK', key, 0, over - 1)
    end
  end
end

-- purge drops what the policy does not keep. What is in the way does not stop the
-- outcomes, which are written by then: the jobs go when later ones end.
local function purge(q, set, now, keep)
  beside(q.base .. set, drop_over, q, set, now, keep)
end

local keep_policies = {}

-- keep_of reads a policy written as "count" or "count,age,limit"; a negative
-- count keeps all.
local function keep_of(text)
  local keep = keep_policies[text]
  if keep then
    return keep
  end
  local count, age, limit = string.match(text, '^(-?%d+),?(%d*),?(%d*)$')
  keep = { count = tonumber(count) or -1, age = tonumber(age), limit = tonumber(limit) or 1000 }
  keep_policies[text] = keep
  return keep
end
