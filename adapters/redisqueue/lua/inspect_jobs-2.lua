-- Reads jobs. It writes nothing.
--
-- KEYS  1 Q:meta
--       2 the names of parked jobs by id
-- ARGV  1 base of the queue's keys
--       2 the most bytes of a text that are of interest: what is longer is
--         left out, or cut if it is for people to read
--       3 state that the jobs are in by their listing, empty if that is asked
--       4 how many lines of their logs are of interest, the newest
--       then the ids
-- Reply  a list with a string for each job, empty if there is none, of
--        MessagePack values: state, due score, a list of the names and values
--        of its fields, and a list of log lines. It ends early once it is
--        large: the next ids are for another call.

local call = redis.call
local base, largest, listed, log_lines = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local REPLY_MOST, LIST_LOOK = 262144, 20000

-- A hash with more fields than this is no job's: only those are read that
-- jobs have.
local FIELDS_MOST = 64

local FIELDS = {
  'name', 'data', 'opts', 'timestamp', 'priority', 'atm', 'attemptsMade', 'ats', 'stc', 'parked', 'progress',
  'returnvalue', 'failedReason', 'stacktrace', 'processedOn', 'finishedOn', 'delay', 'pb', 'parentKey', 'parent',
  'deid', 'rjk', 'defa',
}
-- Those that producers and handlers fill: how long they are is asked before they
-- are read.
local LARGE = { 'data', 'returnvalue', 'opts' }
-- Those that are cut when they are too long; others are left out.
local CUT = { name = true, failedReason = true, defa = true }

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

-- too_large returns those of the fields that are, nil for none.
local function too_large(key)
  local found
  for _, field in ipairs(LARGE) do
    if call('HSTRLEN', key, field) > largest then
      found = found or {}
      found[field] = true
    end
  end
  return found
end

-- some_fields reads the fields that jobs have, as HGETALL does, without those to
-- leave out.
local function some_fields(key, left_out)
  local names, fields = {}, {}
  for _, name in ipairs(FIELDS) do
    if left_out[name] then
      fields[#fields + 1], fields[#fields + 2] = name, false
    else
      names[#names + 1] = name
    end
  end
  for i, value in ipairs(call('HMGET', key, unpack(names))) do
    if value then
      fields[#fields + 1], fields[#fields + 2] = names[i], value
    end
  end
  return fields
end

-- How many bytes were read of the latest job.
local read = 0

-- read_fields returns names and values; none if there is something else.
local function read_fields(id)
  read = 0
  local key = base .. id
  local count = redis.pcall('HLEN', key)
  if type(count) ~= 'number' or count == 0 then
    return {}
  end
  local left_out = too_large(key)
  local fields
  if left_out or count > FIELDS_MOST then
    fields = some_fields(key, left_out or {})
  else
    fields = call('HGETALL', key)
  end
  for i = 2, #fields, 2 do
    local value = fields[i]
    if value then
      read = read + #value
      if #value > largest then
        fields[i] = CUT[fields[i - 1]] and string.sub(value, 1, largest) or false
      end
    end
  end
  return fields
end

-- is_job tells whether there is the field that each job has.
local function is_job(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'timestamp' then
      return true
    end
  end
  return false
end

-- read_log returns the newest lines of a job's log, as many as fit.
local function read_log(id)
  if log_lines == 0 then
    return {}
  end
  local lines = redis.pcall('LRANGE', base .. id .. ':logs', -log_lines, -1)
  if lines.err then
    return {}
  end
  local size = 0
  for i = #lines, 1, -1 do
    size = size + #lines[i]
    if size > largest then
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
  local fields = read_fields(id)
  local state, score = listed, ''
  if listed == '' then
    state, score = state_of(id)
    if state == '' and not is_job(fields) then
      return ''
    end
  elseif #fields == 0 and not still_listed(id) then
    return ''
  end
  if state == 'delayed' then
    score = call('ZSCORE', base .. 'delayed', id) or ''
    if call('HEXISTS', KEYS[2], id) == 1 then
      state = 'parked'
    end
  elseif state == 'paused' then
    state = 'wait'
  end
  return cmsgpack.pack(state, score, fields, read_log(id))
end

local reply, bytes = {}, 0
for at = 5, #ARGV do
  if bytes > REPLY_MOST then
    break
  end
  local packed = view(ARGV[at])
  -- What was read and left out has taken its time, too.
  bytes = bytes + math.max(read, #packed)
  reply[#reply + 1] = packed
end
return reply
