-- @include queue
-- Leasing jobs that were taken off the ready ones (protocol 2.3).

-- One reply carries at most about this many bytes of payload.
local REPLY_MOST = 262144

-- What of a job is handed out at most, in bytes, beside its data and options:
-- more was written to do harm.
local STACKS_MOST, DEFERRED_MOST, NAME_MOST = 262144, 4096, 4096

-- A job that was never started and has neither parent, deduplication key nor
-- scheduler has these fields: name, data, opts, timestamp, delay and priority.
local PLAIN_FIELDS = 6

-- whole_size returns the bytes of data of a job whose name, data, options and
-- timestamp are there and not too large, nil for others.
local function whole_size(fields, largest)
  local name, data, opts = fields[1], fields[2], fields[3]
  if name and data and opts and fields[4] and #name <= NAME_MOST and #data + #opts <= largest then
    return #data
  end
  return nil
end

-- shorten cuts a field that has more than so many bytes.
local function shorten(fields, i, most)
  if fields[i] and #fields[i] > most then
    fields[i] = string.sub(fields[i], 1, most)
  end
end

-- Stands for the number of starts when what has the name of the job is none.
local FOREIGN = 'foreign'

local function all_fields(id, key)
  local fields = try('HMGET', key, 'name', 'data', 'opts', 'timestamp', 'priority', 'ats', 'rjk', 'defa', 'atm',
    'attemptsMade', 'stc', 'parked', 'stacktrace')
  if fields.err or is_reserved(id) then
    return { false, false, false, false, false, FOREIGN }
  end
  return fields
end

-- lease_of returns the lease of any job: "+", the id and the fields, each with
-- its length and a colon before it, or "-" where there is none. Data and options
-- that are too large become "large" in the place of the number of starts; a
-- scheduler's job keeps its options, which say how the schedule goes on.
local function lease_of(id, fields, largest)
  local size = #(fields[2] or '') + #(fields[3] or '')
  shorten(fields, 8, DEFERRED_MOST)
  if fields[13] and #fields[13] > STACKS_MOST then
    fields[13] = false
  end
  if size > largest or (fields[1] and #fields[1] > NAME_MOST) then
    shorten(fields, 1, 64)
    local goes_on = fields[7] and fields[3] and #fields[3] <= largest
    fields[2], fields[3], fields[6] = false, goes_on and fields[3], 'large'
  end
  local parts = { '+' .. int_text(#id) .. ':' .. id }
  for i = 1, 13 do
    local value = fields[i]
    parts[i + 1] = value and int_text(#value) .. ':' .. value or '-'
  end
  return table.concat(parts)
end

-- push_back returns ids that are not handed out to where they were taken from.
local function push_back(q, ids, from)
  for i = #ids, from, -1 do
    local id = ids[i]
    local priority = priority_of(q, id)
    if priority <= 0 or not pcall(call, 'ZADD', q.prioritized, priority * CLASS, id) then
      call('RPUSH', q.wait, id)
    end
    ids[i] = nil
  end
end

-- say_started writes into the job's hash that it is under way, for the time
-- whose number is given.
local function say_started(key, started)
  if ARGV[6] ~= '' then
    call('HSET', key, 'processedOn', stamp, 'ats', started, 'pb', ARGV[6])
  else
    call('HSET', key, 'processedOn', stamp, 'ats', started)
  end
end

-- start_other leases a job that is not plain. It returns its lease and whether
-- its failure was decided before. A job without a hash gets no more than a lock:
-- writing to it would make a hash.
local function start_other(q, id, key, largest)
  local fields = all_fields(id, key)
  call('SET', key .. ':lock', ARGV[4], 'PX', ARGV[5])
  if fields[1] or fields[2] or fields[3] or fields[4] then
    fields[6] = int_text((tonumber(fields[6]) or 0) + 1)
    call('XADD', q.events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    say_started(key, fields[6])
  end
  if fields[12] then
    try('HDEL', KEYS[3], id)
  end
  return lease_of(id, fields, largest), fields[8] and true or false
end

-- close_run writes before the jobs that were alike, up to the n-th value of the
-- reply, how many they are.
local function close_run(reply, head, n)
  if head then
    reply[head] = ',' .. int_text((n - head - 2) / 3)
  end
end

-- lease_jobs leases the ids, of which the first so many have no priority, and
-- appends their leases to the reply. Those of plain jobs with the same name and
-- options come together: "," and how many, name, options, and of each its id,
-- timestamp and data. It returns how many count for the rate limit: in BullMQ 6
-- those that are only to be failed do not.
local function lease_jobs(q, ids, unprioritized, reply)
  local base, events, token, lease, largest = q.base, q.events, ARGV[4], ARGV[5], tonumber(ARGV[8])
  local n, bytes, deferred = #reply, 0, 0
  local head, name, opts
  for i = 1, #ids do
    local id = ids[i]
    if bytes > REPLY_MOST then
      push_back(q, ids, i)
      break
    end
    local key = base .. id
    local fields = i <= unprioritized and try('HLEN', key) == PLAIN_FIELDS and call('HMGET', key, 'name', 'data', 'opts', 'timestamp')
    local size = fields and whole_size(fields, largest)
    if size then
      local lock = key .. ':lock'
      -- What was there before, mostly nothing, costs less than a status.
      if type(try('SET', lock, token, 'PX', lease, 'GET')) == 'table' then
        call('SET', lock, token, 'PX', lease)
      end
      call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
      say_started(key, '1')
      if not head or fields[1] ~= name or fields[3] ~= opts then
        close_run(reply, head, n)
        name, opts, head = fields[1], fields[3], n + 1
        reply[head], reply[n + 2], reply[n + 3] = ',', name, opts
        n = n + 3
      end
      reply[n + 1], reply[n + 2], reply[n + 3] = id, fields[4], fields[2]
      n = n + 3
      bytes = bytes + size
    else
      local decided
      close_run(reply, head, n)
      n, head = n + 1, nil
      reply[n], decided = start_other(q, id, key, largest)
      if decided and q.profile == 'v6' then
        deferred = deferred + 1
      end
      bytes = bytes + #reply[n]
    end
  end
  close_run(reply, head, n)
  call('LPUSH', q.active, unpack(ids))
  return #ids - deferred
end
