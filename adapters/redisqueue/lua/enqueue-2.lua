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
-- @hot int_text clock_ms session_reply session_record whole queue_of max_events ready_list queue_blocked base_marker
-- @hot ask check_queue sign_queue store_plain flush_pushes groups_of add_alike add_group add_all
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

-- add_alike adds n plain jobs, the first with the counter value.
local function add_alike(q, counter, at, n)
  local name, opts, pushes = ARGV[at], ARGV[at + 1], q.pushes or {}
  local before = #pushes
  for i = 1, n do
    local id = int_text(counter + i - 1)
    store_plain(q, id, name, ARGV[at + 1 + i], opts, stamp, '0', '0')
    call('XADD', q.events, '*', 'event', 'waiting', 'jobId', id)
    pushes[before + i] = id
    q.pushes, q.new_ready = pushes, true
  end
end

-- add_group adds the group at position at and appends what became of it to the
-- answers.
local function add_group(answers, q, counter, at, now)
  local n = tonumber(ARGV[at])
  local status, id = ACCEPTED, int_text(counter)
  if n > 0 then
    add_alike(q, counter, at + 2, n)
  else
    n = 1
    status, id = add_job(q, counter, read_job(at + 2, now), ARGV[2])
  end
  local last = #answers
  answers[last + 1], answers[last + 2], answers[last + 3] = status, id, n
  return n
end

-- add_all adds the groups that begin at the starts.
local function add_all(answers, counters, starts, now)
  for _, at in ipairs(starts) do
    local base = ARGV[at + 1]
    counters[base] = counters[base] + add_group(answers, queue_of(base, ARGV[3]), counters[base], at, now)
  end
end

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local now = clock_ms()
local starts, wanted = groups_of(tonumber(ARGV[4]))
-- Counters move once for each queue.
local counters, answers = {}, {}
for base in pairs(wanted) do
  check_queue(queue_of(base, ARGV[3]))
end
for base, n in pairs(wanted) do
  counters[base] = call('INCRBY', base .. 'id', n) - n + 1
end

-- Jobs that were stored before one that cannot be must not wait nowhere.
local ok, err = pcall(add_all, answers, counters, starts, now)
for base in pairs(wanted) do
  local q = queue_of(base, ARGV[3])
  sign_queue(q)
  flush_pushes(q)
  call('XTRIM', q.events, 'MAXLEN', '~', max_events(q))
end
if not ok then
  error(err, 0)
end

reply = cmsgpack.pack(answers)
session_record(KEYS[1], ARGV[1], reply)
return reply
