-- count_finished adds n jobs that finished now to the queue's per-minute
-- metrics (protocol 2.19).
local function count_finished(q, set, n, now, points)
  local key = q.base .. 'metrics:' .. set
  local before = redis.call('HINCRBY', key, 'count', n) - n
  local prev = redis.call('HMGET', key, 'prevTS', 'prevCount')
  local since = tonumber(prev[1])
  if not since then
    redis.call('HSET', key, 'prevTS', now, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(now / 60000) - math.floor(since / 60000), points)
  if minutes <= 0 then
    return
  end
  local data = key .. ':data'
  redis.call('LPUSH', data, before - (tonumber(prev[2]) or 0))
  for _ = 2, minutes do
    redis.call('LPUSH', data, 0)
  end
  redis.call('LTRIM', data, 0, points - 1)
  redis.call('HSET', key, 'prevCount', before, 'prevTS', now)
end
