-- Adds jobs, to one queue or several (protocol 2.2).
--
-- KEYS  1 the session's record
--       2 a key of the first queue, for the slot
-- ARGV  1 number of the call
--       2 what keys of receipts begin with
--       3 profile: v5, v6 or empty
--       4 how many groups of jobs
--       then for each group: how many plain jobs it has that are alike, and
--       the base of their queue's keys; their name and options, and the data
--       of each. For zero it is one job of any kind: the arguments of read_job
--       (include/add.lua)
-- Reply  a MessagePack list of a status, an id and a number of jobs for each
--        group: those after the first have the ids that follow
-- An error says that nothing is added, unless it says how many jobs are. Those
-- are in the record of the call, with the error: to repeat it adds none twice.
-- @hot int_text clock_ms session_reply session_record whole queue_of max_events ready_list queue_blocked base_marker
-- @hot ask check_queue sign_queue store_plain flush_pushes take_ids groups_of add_alike add_group add_all
-- @include session
-- @include add

-- groups_of returns where in ARGV each group begins, and how many jobs there
-- are for each base.
local function groups_of(count)
  local starts, wanted = {}, {}
  local at = 5
  for i = 1, count do
    local n, base = tonumber(ARGV[at]), ARGV[at + 1]
    starts[i] = at
    wanted[base] = (wanted[base] or 0) + math.max(n, 1)
    at = at + 2 + (n > 0 and n + 2 or JOB_FIELDS)
  end
  return starts, wanted
end

-- add_alike adds n plain jobs but for the first ones that are done; the next one
-- has the counter value.
local function add_alike(q, counter, at, n, done)
  local name, opts, pushes = ARGV[at], ARGV[at + 1], q.pushes or {}
  local before = #pushes
  for i = 1, n - done do
    local id = int_text(counter + i - 1)
    store_plain(q, id, name, ARGV[at + 1 + done + i], opts, stamp, '0', '0')
    call('XADD', q.events, '*', 'event', 'waiting', 'jobId', id)
    pushes[before + i] = id
    q.pushes, q.new_ready = pushes, true
  end
end

-- add_group adds the group at position at, but for the first jobs that are done,
-- and appends what became of it to the answers.
local function add_group(answers, q, counter, at, now, done)
  local n = tonumber(ARGV[at])
  local status, id = ACCEPTED, int_text(counter)
  if n > 0 then
    add_alike(q, counter, at + 2, n, done)
    n = n - done
  else
    n = 1
    status, id = add_job(q, counter, read_job(at + 2, now), ARGV[2])
  end
  local last = #answers
  answers[last + 1], answers[last + 2], answers[last + 3] = status, id, n
  return n
end

-- add_all adds the groups that begin at the starts, from where the progress is.
local function add_all(answers, counters, starts, now, progress)
  for i = progress.group, #starts do
    local at = starts[i]
    local base = ARGV[at + 1]
    local q = queue_of(base, ARGV[3])
    progress.group, progress.before = i, q.pushes and #q.pushes or 0
    counters[base] = counters[base] + add_group(answers, q, counters[base], at, now, progress.done)
    progress.done = 0
  end
end

-- How many ids a call passes over.
local PASS_MOST = 1000

-- pass_over takes note of the jobs of a group that broke off. If what is in the
-- way of the next one is something else under an id that its turn has come to,
-- it passes over the id and returns true.
local function pass_over(answers, counters, starts, progress)
  local at = starts[progress.group]
  local n, base = tonumber(ARGV[at]), ARGV[at + 1]
  local q, counter = queue_of(base, ARGV[3]), counters[base]
  local added = n > 0 and (q.pushes and #q.pushes or 0) - progress.before or 0
  if added > 0 then
    local last = #answers
    answers[last + 1], answers[last + 2], answers[last + 3] = ACCEPTED, int_text(counter), added
    counter, progress.done = counter + added, progress.done + added
  end
  local id = int_text(counter)
  local kind = call('TYPE', base .. id).ok
  progress.passed = progress.passed + 1
  if (n > 0 or ARGV[at + 2] == '') and kind ~= 'hash' and kind ~= 'none' and progress.passed <= PASS_MOST then
    call('INCR', base .. 'id')
    counters[base] = counter + 1
    return true
  end
  if n > 0 then
    take_back(q, id)
  end
  return false
end

-- check_job stops the call before anything is written if a key that a job needs,
-- whose arguments are at the position, is something else.
local function check_job(q, at)
  local id, dedup, receipt = ARGV[at], ARGV[at + 7], ARGV[at + 9]
  if id ~= '' then
    ask('HLEN', q.base .. id)
  end
  if receipt ~= '' then
    ask('GET', ARGV[2] .. receipt)
  end
  if dedup ~= '' then
    ask('GET', q.base .. 'de:' .. dedup)
    if string.find(ARGV[at + 8], 'k', 1, true) then
      ask('LLEN', q.active)
    end
  end
end

local function check_jobs(starts)
  for _, at in ipairs(starts) do
    if ARGV[at] == '0' then
      check_job(queue_of(ARGV[at + 1], ARGV[3]), at + 2)
    end
  end
end

-- refuse fails the call. What is added of it stays, and is told.
local function refuse(err, answers)
  local added = 0
  for i = 1, #answers, 3 do
    added = added + (answers[i] == ACCEPTED and answers[i + 2] or 0)
  end
  if added == 0 then
    error(err, 0)
  end
  -- It does not begin as an error that passes, for which calls are repeated.
  local words = 'ERR ' .. int_text(added) .. ' jobs of this call are added: ' .. words_of(err)
  session_record(KEYS[1], ARGV[1], '-' .. words)
  return redis.error_reply(words)
end

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply and string.byte(reply) == 45 then
  return redis.error_reply(string.sub(reply, 2))
elseif reply or overtaken then
  return reply or overtaken
end

local now = clock_ms()
local starts, wanted = groups_of(tonumber(ARGV[4]))
for base in pairs(wanted) do
  check_queue(queue_of(base, ARGV[3]))
end
if starts[2] then
  -- The first job is checked as it is added.
  check_jobs(starts)
end
-- Counters move once for each queue.
local counters, answers = take_ids(wanted), {}
local progress = { group = 1, done = 0, passed = 0 }
local ok, err
repeat
  ok, err = pcall(add_all, answers, counters, starts, now, progress)
until ok or not pass_over(answers, counters, starts, progress)
if not ok and not answers[1] then
  for base, n in pairs(wanted) do
    return_ids(base, n)
  end
  error(err, 0)
end
-- Jobs that were stored before one that cannot be must not wait nowhere.
for base in pairs(wanted) do
  local q = queue_of(base, ARGV[3])
  sign_queue(q)
  flush_pushes(q)
  call('XTRIM', q.events, 'MAXLEN', '~', max_events(q))
end
if not ok then
  return refuse(err, answers)
end

reply = cmsgpack.pack(answers)
session_record(KEYS[1], ARGV[1], reply)
return reply
