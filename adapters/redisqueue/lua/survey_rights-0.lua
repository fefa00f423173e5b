-- Tells which commands the user of the connection may not send, without
-- sending them. A server older than Redis 7 cannot tell.
--
-- ARGV  1 a key that the commands would be about
--       then commands, the name of a subcommand after a bar
-- Reply  a list of those that are refused; 0 from a server that cannot tell

local allowed = redis.acl_check_cmd
if not allowed then
  return 0
end
local key, refused = ARGV[1], {}
for at = 2, #ARGV do
  local name, below = string.match(ARGV[at], '^([^|]+)|?(.*)$')
  local asked, may
  if below ~= '' then
    asked, may = pcall(allowed, name, below, key)
  else
    asked, may = pcall(allowed, name, key, key, key)
  end
  -- What the server does not know is no command of its.
  if asked and may == false then
    refused[#refused + 1] = ARGV[at]
  end
end
return refused
