-- Counts the jobs of a queue. It writes nothing.
--
-- KEYS  1 Q:meta
--       2 the names of parked jobs by id
-- ARGV  1 base of the queue's keys
-- Reply  a list: jobs in wait, prioritized, delayed, parked, active,
--        waiting-children, completed and failed, 1 if the queue is paused, and
--        the time in ms of the oldest job that could be worked, as text, empty
--        for none

local call = redis.call
local base = ARGV[1]

-- How many ready jobs are asked for their age: those next in line, in which
-- the oldest are, and the first of each priority.
local NEXT_LOOK, CLASS_LOOK = 50, 50
local CLASS = 4294967296

-- Up to so many parked ids are looked for among the delayed jobs: Node removes
-- jobs without telling us.
local PARKED_LOOK = 1000

local function parked_count(delayed)
  local count = call('HLEN', KEYS[2])
  if count == 0 or count > PARKED_LOOK then
    return math.min(count, delayed)
  end
  local scores = call('ZMSCORE', base .. 'delayed', unpack(call('HKEYS', KEYS[2])))
  local there = 0
  for i = 1, count do
    there = there + (scores[i] and 1 or 0)
  end
  return there
end

local oldest

local function see(id)
  local created = redis.pcall('HGET', base .. id, 'timestamp')
  created = type(created) == 'string' and tonumber(created)
  if created and (not oldest or created < oldest) then
    oldest = created
  end
end

-- see_list looks at both ends of a list: jobs put in front of others leave the
-- oldest at its head.
local function see_list(key)
  for _, id in ipairs(call('LRANGE', key, -NEXT_LOOK, -1)) do
    see(id)
  end
  local head = call('LINDEX', key, 0)
  if head then
    see(head)
  end
end

-- see_prioritized looks at the first job of each priority.
local function see_prioritized()
  local from = '-inf'
  for _ = 1, CLASS_LOOK do
    local first = call('ZRANGEBYSCORE', base .. 'prioritized', from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[1] then
      return
    end
    see(first[1])
    from = string.format('%.0f', (math.floor(tonumber(first[2]) / CLASS) + 1) * CLASS)
  end
end

see_list(base .. 'wait')
see_list(base .. 'paused')
see_prioritized()
local delayed = call('ZCARD', base .. 'delayed')
local parked = parked_count(delayed)
return {
  call('LLEN', base .. 'wait') + call('LLEN', base .. 'paused'), call('ZCARD', base .. 'prioritized'),
  delayed - parked, parked, call('LLEN', base .. 'active'), call('ZCARD', base .. 'waiting-children'),
  call('ZCARD', base .. 'completed'), call('ZCARD', base .. 'failed'),
  call('HEXISTS', KEYS[1], 'paused'), oldest and string.format('%.0f', oldest) or '',
}
