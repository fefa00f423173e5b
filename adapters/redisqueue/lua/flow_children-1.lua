-- Reads what a job knows of its children. It writes nothing.
--
-- KEYS  1 the job
-- ARGV  1 which children: processed, unprocessed, ignored or failed; empty for
--         their counts alone
--       2 where to go on: 0, or what the call before replied. For failed
--         children it is when the last one failed, a slash and its key
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

-- place_after returns how many members of a sorted set come up to one that was
-- there. When it is gone, those of its score come again.
local function place_after(set, from)
  local score, member = string.match(from, '^([^/]+)/(.+)$')
  if not score then
    return 0
  elseif call('ZSCORE', set, member) == score then
    return call('ZRANK', set, member) + 1
  end
  return call('ZCOUNT', set, '-inf', '(' .. score)
end

-- ranked returns the members of a sorted set behind one, the first to fail
-- first.
local function ranked(from, most)
  local set = key .. ':unsuccessful'
  local place = place_after(set, from)
  local list = call('ZRANGE', set, place, place + most - 1, 'WITHSCORES')
  if #list < 2 * most then
    return '0', list
  end
  return list[#list] .. '/' .. list[#list - 1], list
end

-- How many bytes of results or reasons end a page, and how many children are
-- read at a time: each of them may be large.
local PAGE_MOST, READ_MOST = 1048576, 10

-- scanned returns the fields of a hash and their values from a place on.
local function scanned(name, from, most)
  local list, bytes = {}, 0
  repeat
    local reply = call('HSCAN', name, from, 'COUNT', math.min(most - #list / 2, READ_MOST))
    for _, text in ipairs(reply[2]) do
      list[#list + 1] = text
      bytes = bytes + #text
    end
    from = reply[1]
  until from == '0' or #list >= 2 * most or bytes > PAGE_MOST
  return from, list
end

local function page(kind, from, most)
  if kind == 'processed' then
    return scanned(key .. ':processed', from, most)
  elseif kind == 'ignored' then
    return scanned(key .. ':failed', from, most)
  elseif kind == 'unprocessed' then
    local reply = call('SSCAN', key .. ':dependencies', from, 'COUNT', most)
    return reply[1], bare(reply[2])
  elseif kind == 'failed' then
    return ranked(from, most)
  end
  return '0', {}
end

local on, list = page(ARGV[1], ARGV[2], tonumber(ARGV[3]))
return cmsgpack.pack(call('EXISTS', key), count('HLEN', ':processed'), count('SCARD', ':dependencies'), count('HLEN', ':failed'),
  count('ZCARD', ':unsuccessful'), on, list)
