-- Reads job schedulers. It writes nothing.
--
-- KEYS  1 Q:meta
--       2 Q:repeat
-- ARGV  1 base of the queue's keys
--       2 "one", or the order of their next runs: "ascending" or "descending"
--       3 the id of the one, or how many to pass over
--       4 how many to read at most
-- Reply  a list: how many were looked at, and for each that there is its id,
--        when its next run is planned for, and the fields below as MessagePack
--        values. It ends early once it is large: the next ones are for another
--        call.

local call = redis.call
local base = ARGV[1]

local REPLY_MOST = 262144

local FIELDS = { 'name', 'every', 'pattern', 'tz', 'limit', 'startDate', 'endDate', 'offset', 'data', 'opts', 'ic' }

-- page_of returns the ids and scores that are asked for.
local function page_of()
  if ARGV[2] == 'one' then
    local score = call('ZSCORE', KEYS[2], ARGV[3])
    return score and { ARGV[3], score } or {}
  end
  local first = tonumber(ARGV[3])
  local command = ARGV[2] == 'ascending' and 'ZRANGE' or 'ZREVRANGE'
  return call(command, KEYS[2], first, first + tonumber(ARGV[4]) - 1, 'WITHSCORES')
end

-- fields_of returns the definition's fields, nil if there is none, and their
-- size.
local function fields_of(id)
  local key = base .. 'repeat:' .. id
  local fields = redis.pcall('HMGET', key, unpack(FIELDS))
  if fields.err then
    error(fields.err .. ' (' .. key .. ')', 0)
  end
  local size, some = 0, false
  for i = 1, #FIELDS do
    some = some or fields[i]
    size = size + (fields[i] and #fields[i] or 0)
  end
  return some and fields, size
end

local function read()
  local page = page_of()
  local reply, total, looked = { 0 }, 0, 0
  for i = 1, #page, 2 do
    local fields, size = fields_of(page[i])
    total = total + size
    if looked > 0 and total > REPLY_MOST then
      break
    end
    looked = looked + 1
    if fields then
      reply[#reply + 1] = cmsgpack.pack(page[i], string.format('%.0f', tonumber(page[i + 1])), unpack(fields, 1, #FIELDS))
    end
  end
  reply[1] = looked
  return reply
end

local ok, reply = pcall(read)
return ok and reply or redis.error_reply(type(reply) == 'table' and reply.err or reply)
