-- is_scheduled tells whether the id is that of the pending job of a job
-- scheduler, which lives and goes with its scheduler (protocol 2.18).
local function is_scheduled(base, id)
  local scheduler, at = string.match(id, '^repeat:(.+):(%d+)$')
  if not scheduler then
    return false
  end
  local planned = redis.call('ZSCORE', base .. 'repeat', scheduler)
  return planned and tonumber(planned) == tonumber(at) or false
end
