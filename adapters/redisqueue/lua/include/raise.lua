-- Keys under which something else may lie: Redis does not say which one it met.

local call, try = redis.call, redis.pcall

-- raise stops the call with the server's complaint about the key, which it does
-- not name itself. A Redis older than 7 takes texts alone.
local function raise(complaint, key)
  local text = complaint .. ' (' .. key .. ')'
  error(redis.REDIS_VERSION_NUM and { err = text } or '-' .. text, 0)
end

-- words_of returns what an error says that a call raised.
local function words_of(err)
  return type(err) == 'table' and err.err or tostring(err)
end

-- ask is call for a command that reads the key.
local function ask(command, key, ...)
  local reply = try(command, key, ...)
  if type(reply) == 'table' and reply.err then
    raise(reply.err, key)
  end
  return reply
end
