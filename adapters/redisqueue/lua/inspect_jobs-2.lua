-- Reads jobs. It writes nothing.
--
-- KEYS  1 Q:meta
--       2 the names of parked jobs by id
-- ARGV  1 base of the queue's keys
--       2 the most bytes of a text that are of interest: what is longer is
--         left out, or cut if it is for people to read
--       3 state that the jobs are in by their listing, empty if that is asked
--       then the ids
-- Reply  a list with a string for each job, empty if there is none, of
--        MessagePack values: state, due score, the fields below, and a list of
--        log lines. It ends early once it is large: the next ids are for
--        another call.

local call = redis.call
local base, largest, listed = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local REPLY_MOST, LOG_MOST, LIST_LOOK = 262144, 1000, 20000

local FIELDS = {
  'name', 'data', 'opts', 'timestamp', 'priority', 'atm', 'attemptsMade', 'ats', 'stc', 'parked', 'progress',
  'returnvalue', 'failedReason', 'stacktrace', 'processedOn', 'finishedOn',
}
-- Those that are cut when they are too long; others are left out.
local CUT = { [1] = true, [13] = true }

local SETS = { 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }
local LISTS = { 'active', 'wait', 'paused' }

-- found_in tells whether the job is near either end of a list, and whether
-- that is for sure.
local function found_in(list, id)
  local key = base .. list
  if call('LPOS', key, id, 'RANK', -1, 'MAXLEN', LIST_LOOK) or call('LPOS', key, id, 'MAXLEN', LIST_LOOK) then
    return true, true
  end
  return false, call('LLEN', key) <= 2 * LIST_LOOK
end

-- state_of returns where a job is, empty if it is nowhere, and its score. A job
-- that cannot be anywhere but in the middle of a long list is taken to be
-- there.
local function state_of(id)
  for _, set in ipairs(SETS) do
    local score = call('ZSCORE', base .. set, id)
    if score then
      return set, score
    end
  end
  local likely = ''
  for _, list in ipairs(LISTS) do
    local found, sure = found_in(list, id)
    if found then
      return list, ''
    elseif not sure and list ~= 'active' then
      likely = list
    end
  end
  return likely, ''
end

-- still_listed tells whether an id without a hash is damage, and not a job that
-- went since it was listed.
local function still_listed(id)
  local list = listed == 'active' or listed == 'wait'
  if not list then
    return call('ZSCORE', base .. listed, id) ~= false
  end
  return (found_in(listed, id)) or (listed == 'wait' and (found_in('paused', id)))
end

local function read_fields(id)
  local fields = redis.pcall('HMGET', base .. id, unpack(FIELDS))
  if fields.err then
    fields = {}
  end
  local some = false
  for i = 1, #FIELDS do
    local value = fields[i] or false
    some = some or value ~= false
    if value and #value > largest then
      value = CUT[i] and string.sub(value, 1, largest) or false
    end
    fields[i] = value
  end
  return fields, some
end

-- read_log returns the newest lines of a job's log, as many as fit.
local function read_log(id)
  local lines = redis.pcall('LRANGE', base .. id .. ':logs', -LOG_MOST, -1)
  if lines.err then
    return {}
  end
  local bytes = 0
  for i = #lines, 1, -1 do
    bytes = bytes + #lines[i]
    if bytes > largest then
      local kept = {}
      for n = i + 1, #lines do
        kept[#kept + 1] = lines[n]
      end
      return kept
    end
  end
  return lines
end

local function view(id)
  local fields, some = read_fields(id)
  local state, score = listed, ''
  if listed == '' then
    state, score = state_of(id)
  elseif listed == 'delayed' then
    score = call('ZSCORE', base .. 'delayed', id) or ''
  end
  if not some and listed ~= '' and not still_listed(id) then
    return ''
  elseif state == '' and not fields[4] then
    -- In no list, and without the timestamp that each job has: no job at all.
    return ''
  end
  if state == 'delayed' and call('HEXISTS', KEYS[2], id) == 1 then
    state = 'parked'
  elseif state == 'paused' then
    state = 'wait'
  end
  return cmsgpack.pack(state, score, unpack(fields, 1, #FIELDS)) .. cmsgpack.pack(read_log(id))
end

local reply, bytes = {}, 0
for at = 4, #ARGV do
  if bytes > REPLY_MOST then
    break
  end
  local packed = view(ARGV[at])
  bytes = bytes + #packed
  reply[#reply + 1] = packed
end
return reply
