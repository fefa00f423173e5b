-- clock_ms returns the server's time in whole milliseconds. One clock for all
-- workers: their own may disagree.
local function clock_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
