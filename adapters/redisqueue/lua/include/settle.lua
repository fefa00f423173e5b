-- @include retention
-- @include dedup
-- @include metrics
-- @include active
-- Writing outcomes, a batch at a time. What can be asked or written for all
-- jobs of the batch at once is.

-- How many arguments a settlement of each kind has.
local WIDTH = { C = 4, F = 6, R = 6, D = 6, S = 4, P = 5, B = 3, L = 4, W = 3, X = 3 }

local OK, GONE, NO_LOCK, NOT_ACTIVE, PENDING, OTHER_LOCK, FAILED_CHILDREN = 0, -1, -2, -3, -4, -6, -9

-- How many arguments stand for the completion of a plain job: the same, without
-- the kind, which all have in common.
local PLAIN_WIDTH = 3

local kinds = {}

-- kind_of reads a kind, after which the retention of a finished job stands.
local function kind_of(text)
  if kinds[text] then
    return kinds[text]
  end
  local letter = string.sub(text, 1, 1)
  local kind = { letter = letter, width = WIDTH[letter], finishes = letter == 'C' or letter == 'F' }
  if kind.finishes then
    kind.set = letter == 'C' and 'completed' or 'failed'
    kind.keep = keep_of(string.sub(text, 2))
  end
  kinds[text] = kind
  return kind
end

-- places_of returns where in ARGV the settlements from at on begin, and the
-- completions of plain jobs, in the order in which they are sent, and their
-- kinds.
local function places_of(at, others, plain)
  local places, texts = {}, {}
  for i = 1, others do
    places[i], texts[i] = at, ARGV[at]
    at = at + kind_of(ARGV[at]).width
  end
  for i = others + 1, others + plain do
    -- Where the kind would be is the end of what is before.
    places[i], texts[i] = #ARGV - (others + plain - i + 1) * PLAIN_WIDTH, ARGV[14]
  end
  return places, texts
end

-- order_of returns which of the sent settlements comes first, second and so on
-- for the caller: what ends first may be the child of another.
local function order_of(count, text)
  local order = {}
  for number in string.gmatch(text, '%d+') do
    order[#order + 1] = tonumber(number)
  end
  for i = #order + 1, count do
    order[i] = i
  end
  return order
end

-- read_batch reads so many settlements from at on, and the completions of so
-- many plain jobs. A batch is held in lists of the same length, in the caller's
-- order: the kinds of the settlements, where in ARGV each begins, the ids and
-- keys of the jobs, the codes, and which of those that are sent it is. No lease
-- is in it twice.
local function read_batch(q, at, others, plain)
  local kind_list, at_list, ids, keys, locks, codes = {}, {}, {}, {}, {}, {}
  local places, texts = places_of(at, others, plain)
  local sent = order_of(others + plain, plain > 0 and ARGV[16] or '')
  for i = 1, others + plain do
    local place = places[sent[i]]
    local id = ARGV[place + 1]
    local key = q.base .. id
    kind_list[i], at_list[i], ids[i], keys[i], locks[i], codes[i] = kind_of(texts[sent[i]]), place, id, key, key .. ':lock', OK
  end
  return { kinds = kind_list, at = at_list, ids = ids, keys = keys, locks = locks, codes = codes, sent = sent, n = others + plain }
end

-- check_locks gives a code to the settlements whose lease is not held.
local function check_locks(batch)
  local at, codes, keys = batch.at, batch.codes, batch.keys
  local held = call('MGET', unpack(batch.locks))
  for i = 1, batch.n do
    if held[i] ~= ARGV[at[i] + 2] then
      codes[i] = held[i] and OTHER_LOCK or NO_LOCK
    end
  end
  if call('EXISTS', unpack(keys)) == batch.n then
    return
  end
  for i = 1, batch.n do
    if call('EXISTS', keys[i]) == 0 then
      codes[i] = GONE
    end
  end
end

-- size_of returns the size of a set, 0 when there is something else.
local function size_of(command, key)
  local n = redis.pcall(command, key)
  return type(n) == 'number' and n or 0
end

-- check_children refuses to complete jobs with children that are pending or
-- have failed them.
local function check_children(batch)
  local names, n = {}, 0
  for i = 1, batch.n do
    if batch.kinds[i].letter == 'C' then
      local key = batch.keys[i]
      names[n + 1], names[n + 2] = key .. ':dependencies', key .. ':unsuccessful'
      n = n + 2
    end
  end
  if n == 0 or call('EXISTS', unpack(names)) == 0 then
    return
  end
  for i = 1, batch.n do
    if batch.codes[i] == OK and batch.kinds[i].letter == 'C' then
      if size_of('SCARD', batch.keys[i] .. ':dependencies') > 0 then
        batch.codes[i] = PENDING
      elseif size_of('ZCARD', batch.keys[i] .. ':unsuccessful') > 0 then
        batch.codes[i] = FAILED_CHILDREN
      end
    end
  end
end

-- release_leases drops the locks of the settlements that go through and takes
-- their jobs out of the active list. Jobs that are gone leave nothing behind.
local function release_leases(q, batch)
  local locks, ids, wanted, count = {}, {}, {}, 0
  local codes = batch.codes
  for i = 1, batch.n do
    local code = codes[i]
    if code == OK or code == GONE then
      local id = batch.ids[i]
      count = count + 1
      locks[count], ids[count] = batch.locks[i], id
      wanted[id] = true
    end
  end
  if count == 0 then
    return
  end
  -- The locks go last: what is of the wrong type stops the call before.
  call('SREM', q.base .. 'stalled', unpack(ids))
  take_active(q, wanted, count)
  call('DEL', unpack(locks))
  for i = 1, batch.n do
    if codes[i] == OK and wanted[batch.ids[i]] then
      codes[i] = NOT_ACTIVE
    end
  end
end

-- tell_parent tells a finished job's parent how it ended.
local function tell_parent(q, key, completed, value, parent_key, now)
  local pq, parent = parent_of(q, parent_key)
  if not pq then
    raise('ERR the parent lies outside of the prefix', parent_key)
  elseif call('EXISTS', parent_key) == 0 then
    return
  end
  if completed then
    child_completed(pq, parent, key, value, now)
  else
    child_failed(pq, parent, key, value, now, policy_of(call('HGET', key, 'parent')))
  end
end

-- Finished jobs of the batch that are not written yet: members of one set,
-- under one policy, their keys, and keys to delete.
local function new_finishes(batch)
  return {
    set = nil, keep = nil, scores = {}, open = {}, unwritten = {}, dead = {}, completed = 0, failed = 0, at = 1, single = batch.n == 1,
  }
end

-- flush_finished adds the gathered jobs to their set and purges it. Purging
-- once for jobs of one policy leaves the same survivors as after each job. The
-- hashes of the jobs must be written already, for it may delete them.
local function flush_finished(q, f, now)
  if #f.scores > 0 then
    call('ZADD', q.base .. f.set, unpack(f.scores))
    f.scores, f.open, f.unwritten = {}, {}, {}
    if f.keep.age or f.keep.count > 0 then
      purge(q, f.set, now, f.keep)
    end
  end
end

-- gather_finished notes a job for its set.
local function gather_finished(q, f, set, keep, id, now)
  if f.set ~= set or f.keep ~= keep then
    flush_finished(q, f, now)
    f.set, f.keep = set, keep
  end
  local n = #f.scores
  f.scores[n + 1], f.scores[n + 2] = stamp, id
  f.open[n / 2 + 1] = f.at
end

-- finish completes or fails the job of the settlement at position at.
local function finish(q, kind, key, at, f, now)
  local id, value, keep = ARGV[at + 1], ARGV[at + 3], kind.keep
  local fields = call('HMGET', key, 'parentKey', 'atm', 'deid')
  local parent_key, made = fields[1], (tonumber(fields[2]) or 0) + 1
  if fields[3] then
    beside(q.base .. 'de:' .. fields[3], free_dedup, q, id, fields[3], now)
  end
  if parent_key then
    if f.unwritten[parent_key] then
      -- The parent has ended in this batch, and is to be seen so.
      flush_finished(q, f, now)
    end
    tell(tell_parent, q, key, kind.letter == 'C', value, parent_key, now)
  end
  local kept = keep.count ~= 0
  if kept then
    gather_finished(q, f, kind.set, keep, id, now)
    f.unwritten[key] = true
  else
    job_keys(f.dead, key)
    if parent_key then
      tell(unlink_child, q, key, parent_key, now, false)
    end
  end
  if kind.letter == 'C' then
    if kept then
      call('HSET', key, 'returnvalue', value, 'finishedOn', stamp, 'atm', int_text(made))
    end
    if f.single then
      -- What the purge does to others is told before, as Node does it.
      flush_finished(q, f, now)
    end
    f.completed = f.completed + 1
    call('XADD', q.events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
    return
  end
  if kept then
    call('HSET', key, 'failedReason', value, 'stacktrace', ARGV[at + 5], 'finishedOn', stamp, 'atm', int_text(made))
    call('HDEL', key, 'defa')
  end
  if f.single then
    flush_finished(q, f, now)
  end
  f.failed = f.failed + 1
  call('XADD', q.events, '*', 'event', 'failed', 'jobId', id, 'failedReason', value, 'prev', 'active')
  if made >= tonumber(ARGV[at + 4]) then
    call('XADD', q.events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
  end
end

-- back puts the job in front of all of its rank, uncharged.
local function back(q, id)
  local priority = priority_of(q, id)
  if priority > 0 then
    call('ZADD', q.prioritized, priority * CLASS, id)
  else
    call('RPUSH', ready_list(q), id)
  end
  base_marker(q)
  waiting_event(q, id, 'active')
end

-- put_off delays the job by so many ms.
local function put_off(q, key, id, delay, now)
  delay_job(q, id, now + tonumber(delay))
  call('HSET', key, 'delay', delay)
  q.new_delayed = true
end

-- charge writes the failure of an attempt that another one follows.
local function charge(key, reason, stacks)
  call('HSET', key, 'failedReason', reason, 'stacktrace', stacks)
  bump(key, 'atm')
end

-- How long a job is held up that waits for nothing, in ms.
local NOTHING_TO_WAIT_FOR = '1000'

-- wait_for_nothing makes a job ready that waits though no child is pending:
-- at once, for children may have ended while it was worked, but not more often
-- than it has such children. One that takes no notice would turn in circles.
local function wait_for_nothing(q, key, id, now)
  local fields = call('HMGET', key, 'ats', 'atm')
  local ended = size_of('HLEN', key .. ':processed') + size_of('HLEN', key .. ':failed')
  if (tonumber(fields[1]) or math.huge) - (tonumber(fields[2]) or 0) > ended then
    put_off(q, key, id, NOTHING_TO_WAIT_FOR, now)
  else
    back(q, id)
  end
end

-- wait_children moves the job aside until its children are done.
local function wait_children(q, key, id, now)
  if size_of('SCARD', key .. ':dependencies') == 0 then
    wait_for_nothing(q, key, id, now)
    return
  end
  call('ZADD', q.base .. 'waiting-children', now, id)
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'waiting-children', 'jobId', id, 'prev', 'active')
end

-- apply writes the outcome at position at, one that does not finish its job. What
-- may be refused comes first: the call is made again then, and must not charge the
-- job twice.
local function apply(q, kind, key, at, now, parked)
  local letter, id, value = kind.letter, ARGV[at + 1], ARGV[at + 3]
  if letter == 'R' then
    line_up(q, id, priority_of(q, id), ARGV[at + 4] == 'l' and 'RPUSH' or 'LPUSH')
    charge(key, value, ARGV[at + 5])
    base_marker(q)
    waiting_event(q, id, 'active')
  elseif letter == 'D' then
    put_off(q, key, id, ARGV[at + 4], now)
    charge(key, value, ARGV[at + 5])
  elseif letter == 'S' then
    put_off(q, key, id, value, now)
  elseif letter == 'P' then
    put_off(q, key, id, ARGV[at + 4], now)
    bump(key, 'parked')
    beside(parked, call, 'HSET', parked, id, value)
  elseif letter == 'W' then
    wait_children(q, key, id, now)
  elseif letter ~= 'X' then
    back(q, id)
    if letter == 'L' then
      call('SET', q.base .. 'limiter', MANUAL_LIMIT, 'PX', value)
    end
  end
end

-- check_destinations stops the call before it writes the first of several
-- outcomes, if a key to which jobs of these kinds go is something else.
local function check_destinations(q, letters)
  if letters.D or letters.S or letters.P or letters.W then
    ask('ZCARD', q.delayed)
  end
  if letters.R or letters.B or letters.L or letters.W then
    ask('LLEN', ready_list(q))
    ask('ZCARD', q.prioritized)
  end
  if letters.W then
    ask('ZCARD', q.base .. 'waiting-children')
  end
end

-- prepare does what comes once for a batch before its outcomes.
local function prepare(q, batch, now)
  local finishes, retries, sets, letters = false, false, {}, {}
  for i = 1, batch.n do
    local kind = batch.kinds[i]
    if batch.codes[i] == OK then
      letters[kind.letter] = true
    end
    if kind.finishes and batch.codes[i] == OK then
      finishes = true
      sets[kind.set] = true
    end
    retries = retries or kind.letter == 'R'
    if kind.letter == 'W' and batch.codes[i] == OK and size_of('ZCARD', batch.keys[i] .. ':unsuccessful') > 0 then
      batch.codes[i] = FAILED_CHILDREN
    end
  end
  if batch.n > 1 then
    check_destinations(q, letters)
  end
  for set in pairs(sets) do
    -- It stops the call before the jobs are charged.
    ask('ZCARD', q.base .. set)
  end
  if retries then
    promote_due(q, now)
  end
  -- It stops the call, too, if the events are something else.
  if finishes then
    trim_events(q)
  else
    call('XTRIM', q.events, 'MAXLEN', '~', q.max_events or MAX_EVENTS)
  end
end

-- conclude does what comes once for a batch after its outcomes.
local function conclude(q, f, now, points)
  delete_keys(f.dead)
  f.dead = {}
  flush_finished(q, f, now)
  if points > 0 then
    if f.completed > 0 then
      beside(q.base .. 'metrics:completed', count_finished, q, 'completed', f.completed, now, points)
    end
    if f.failed > 0 then
      beside(q.base .. 'metrics:failed', count_finished, q, 'failed', f.failed, now, points)
    end
  end
end

-- look_again checks a job anew that had pending children before the batch:
-- they may have been in it.
local function look_again(q, batch, i)
  local key, id = batch.keys[i], batch.ids[i]
  if size_of('SCARD', key .. ':dependencies') > 0 then
    return PENDING
  elseif size_of('ZCARD', key .. ':unsuccessful') > 0 then
    return FAILED_CHILDREN
  end
  call('SREM', q.base .. 'stalled', id)
  local active = call('LREM', q.active, -1, id) == 1
  call('DEL', batch.locks[i])
  return active and OK or NOT_ACTIVE
end

-- write_outcomes writes those from f.at on.
local function write_outcomes(q, batch, f, now, parked)
  local codes = batch.codes
  while f.at <= batch.n do
    local i = f.at
    if codes[i] == PENDING and batch.n > 1 then
      codes[i] = look_again(q, batch, i)
    end
    if codes[i] == OK then
      local kind = batch.kinds[i]
      if kind.finishes then
        finish(q, kind, batch.keys[i], batch.at[i], f, now)
      else
        apply(q, kind, batch.keys[i], batch.at[i], now, parked)
      end
      q.finished = q.finished or kind.finishes
    end
    f.at = i + 1
  end
end

-- restore gives back the leases whose outcomes could not be written.
local function restore(q, batch, f)
  local lost = f.open
  -- A job that is settled alone is among them already.
  for i = lost[#lost] == f.at and f.at + 1 or f.at, batch.n do
    lost[#lost + 1] = i
  end
  for _, i in ipairs(lost) do
    if batch.codes[i] == OK then
      call('SET', batch.locks[i], ARGV[batch.at[i] + 2], 'PX', ARGV[5])
      call('RPUSH', q.active, batch.ids[i])
    end
  end
end

-- write_or_restore writes the outcomes. A job whose hash became something else
-- is dropped; whatever else is damaged stops the call.
local function write_or_restore(q, batch, f, now, parked)
  while true do
    local ok, err = pcall(write_outcomes, q, batch, f, now, parked)
    if ok then
      return
    end
    if call('TYPE', batch.keys[f.at]).ok == 'hash' then
      restore(q, batch, f)
      error(err, 0)
    end
    batch.codes[f.at] = GONE
    f.at = f.at + 1
  end
end

-- settle_batch writes so many settlements, from at on, and so many completions of
-- plain jobs, and returns their codes in the order in which they are sent.
local function settle_batch(q, now, at, others, plain, parked, points)
  local batch = read_batch(q, at, others, plain)
  check_locks(batch)
  check_children(batch)
  prepare(q, batch, now)
  release_leases(q, batch)
  local f = new_finishes(batch)
  write_or_restore(q, batch, f, now, parked)
  local ok, err = pcall(conclude, q, f, now, points)
  if not ok then
    restore(q, batch, f)
    error(err, 0)
  end
  local codes = {}
  for i = 1, batch.n do
    codes[batch.sent[i]] = batch.codes[i]
  end
  return codes
end
