-- The time of the latest clock_ms as text. Redis writes a number of Lua's as
-- a floating-point one, which costs more than many a command.
local stamp

-- int_text writes a whole number.
local function int_text(n)
  return string.format('%d', n)
end

-- clock_ms returns the server's time in whole milliseconds. One clock for all
-- workers: their own may disagree.
local function clock_ms()
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  stamp = int_text(now)
  return now
end
