-- The memory of runs that have ended: bounded by age and by number.
-- @include ledger_state

local ENDED_FOR_MS = 86400000

local ended_ticks = { key = L .. ':ended:ticks', limit = 32768, pushed = {} }
local ended_others = { key = L .. ':ended:others', limit = 65536, pushed = {} }

-- note_end has the run's record forgotten when it is time.
local function note_end(key)
  local list = string.sub(key, 1, 9) == 'schedule:' and ended_ticks or ended_others
  list.pushed[#list.pushed + 1] = now_ms .. ' ' .. key
end

-- remember keeps of the run what tells its owner and token.
local function remember(key, run)
  put(runs, key, { run[TOKEN], run[OWNER] })
  note_end(key)
end

-- forget drops up to most of the oldest runs of the list, if they may be.
local function forget(list, most)
  local over = redis.call('LLEN', list.key) - list.limit
  local due, keys = now_ms - ENDED_FOR_MS, {}
  local first = redis.call('LINDEX', list.key, 0)
  if not first or (over <= 0 and tonumber(string.match(first, '^%d+') or 0) > due) then
    return
  end
  for i, entry in ipairs(redis.call('LRANGE', list.key, 0, most - 1)) do
    local ended, key = string.match(entry, '^(%d+) (.*)$')
    if i > over and tonumber(ended or 0) > due then
      break
    end
    keys[i] = key or '' -- written by a stranger
  end
  redis.call('LTRIM', list.key, #keys, -1)
  each_part(keys, function(...) redis.call('HDEL', RUNS, ...) end)
end

-- flush_ended writes the ends of this call, and forgets a few more than they are.
local function flush_ended()
  for _, list in ipairs({ ended_ticks, ended_others }) do
    each_part(list.pushed, function(...) redis.call('RPUSH', list.key, ...) end)
    if #list.pushed > 0 then
      forget(list, #list.pushed + 50)
    end
    list.pushed = {}
  end
end
