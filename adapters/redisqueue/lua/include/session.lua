-- Numbered calls. A session's record is the number of its latest call and the
-- reply to it. Repeating the number gives the reply again; a smaller one is a
-- request that was overtaken on the wire by its own repetition.

-- Globals cost more to reach than locals.
local ARGV, KEYS, unpack, tonumber = ARGV, KEYS, unpack, tonumber

-- How long a record outlives its call, in ms: longer than any outage through
-- which a call is repeated. Numbers that are only handed to Redis are written as
-- strings: to turn one into text costs as much as a small command.
local SESSION_LIFE = '86400000'

-- session_reply returns the reply to the call of the number if it was carried
-- out before, nil if it was not, and an error reply if a later one was.
local function session_reply(key, number)
  local record = redis.call('GET', key)
  if not record then
    return nil, nil
  end
  local cut = string.find(record, '\n', 1, true)
  local latest = tonumber(string.sub(record, 1, cut - 1))
  if latest == tonumber(number) then
    return string.sub(record, cut + 1), nil
  elseif latest > tonumber(number) then
    return nil, redis.error_reply('OVERTAKEN call ' .. number .. ' comes after call ' .. latest)
  end
  return nil, nil
end

-- session_record keeps the reply to the call.
local function session_record(key, number, reply)
  -- What was there before costs less than a status.
  redis.call('SET', key, number .. '\n' .. reply, 'PX', SESSION_LIFE, 'GET')
end
