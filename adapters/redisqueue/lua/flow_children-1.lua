-- Reads what a job knows of its children. It writes nothing.
--
-- KEYS  1 the job
-- ARGV  1 which children: processed, unprocessed, ignored or failed; empty for
--         their counts alone
--       2 where to go on: 0, or what the call before replied
--       3 about how many children
-- Reply  MessagePack values: 1 if there is such a job; how many children it has
--        of each kind, in the order above; where to go on, 0 at the end; a list
--        of children, each followed by its value: the result, nothing, the
--        reason, or when it failed

local call = redis.call
local key = KEYS[1]

local function count(command, place)
  return call(command, key .. place)
end

-- bare returns the members of a set with nothing as their values.
local function bare(members)
  local list = {}
  for i, member in ipairs(members) do
    list[2 * i - 1], list[2 * i] = member, ''
  end
  return list
end

-- ranked returns the members of a sorted set from a place on, the first to fail
-- first.
local function ranked(from, most)
  local list = call('ZRANGE', key .. ':unsuccessful', from, from + most - 1, 'WITHSCORES')
  if #list < 2 * most then
    return '0', list
  end
  return string.format('%d', from + most), list
end

local function page(kind, from, most)
  if kind == 'processed' or kind == 'ignored' then
    local place = kind == 'processed' and ':processed' or ':failed'
    local reply = call('HSCAN', key .. place, from, 'COUNT', most)
    return reply[1], reply[2]
  elseif kind == 'unprocessed' then
    local reply = call('SSCAN', key .. ':dependencies', from, 'COUNT', most)
    return reply[1], bare(reply[2])
  elseif kind == 'failed' then
    return ranked(tonumber(from), tonumber(most))
  end
  return '0', {}
end

local on, list = page(ARGV[1], ARGV[2], ARGV[3])
return cmsgpack.pack(call('EXISTS', key), count('HLEN', ':processed'), count('SCARD', ':dependencies'), count('HLEN', ':failed'),
  count('ZCARD', ':unsuccessful'), on, list)
