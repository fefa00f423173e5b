-- Adds jobs that may be parents and children of each other or of jobs that are
-- there, parents before their children (protocol 2.2, 2.16 in the form of
-- BullMQ 6.7: parents whose children are all done are released at the end).
--
-- KEYS  1 the session's record
--       2 a key of the first queue, for the slot
-- ARGV  1 number of the call
--       2 profile: v5, v6 or empty
--       3 how many jobs
--       then for each job the arguments of read_node; then, for each parent
--       with children that a later call adds, the base and id of the parent and
--       the key of the first of these: the parent waits for it meanwhile
-- Reply  a MessagePack list of a status and an id for each job. The id is empty
--        if it is the one that was asked for. A job has ended (5) if its parent
--        was done with it before. One that broke off (100) has left nothing, and
--        the reason in the place of its id
-- An error says that nothing is added.
-- @include session
-- @include add
-- @include flow

local ENDED, NO_PARENT, OTHER_PARENT, NO_JOB, BROKE_OFF = 5, 50, 70, 90, 100

-- How many arguments a job has before those of read_job.
local NODE_FIELDS = 6

-- read_node reads a job from ARGV at position at: base of its queue's keys,
-- base and id of its parent, its parent field, flags (p for a parent, m for an
-- id that no other job has, e for a job below one that has ended), when it
-- counts as created, in ms, and what read_job reads. Empty texts mean none.
local function read_node(at, now)
  local node = read_job(at + NODE_FIELDS, now)
  node.q = queue_of(ARGV[at], ARGV[2])
  if ARGV[at + 1] ~= '' then
    node.parent_base, node.parent_id, node.parent = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    node.parent_key = node.parent_base .. node.parent_id
  end
  node.waits = string.find(ARGV[at + 4], 'p', 1, true) ~= nil
  node.made = string.find(ARGV[at + 4], 'm', 1, true) ~= nil
  node.ended = string.find(ARGV[at + 4], 'e', 1, true) ~= nil
  if ARGV[at + 5] ~= '' then
    node.stamp, node.timestamp = ARGV[at + 5], tonumber(ARGV[at + 5])
  end
  return node
end

-- What lies under the keys of jobs by now: a type, or none; which of them this
-- call adds; and which have ended for their parents.
local kinds, fresh, ended = {}, {}, {}

local function kind_of_key(key)
  kinds[key] = kinds[key] or call('TYPE', key).ok
  return kinds[key]
end

-- Parents that get children, in order, and by key.
local parents, by_key = {}, {}

-- meet_parent notes a parent. What is wrong with its keys stops the call before
-- anything is written.
local function meet_parent(base, id)
  local key = base .. id
  if by_key[key] or kind_of_key(key) ~= 'hash' then
    return by_key[key]
  end
  check_release(queue_of(base, ARGV[2]))
  ask('SCARD', key .. ':dependencies')
  local known = ask('HLEN', key .. ':processed') + ask('HLEN', key .. ':failed') + ask('ZCARD', key .. ':unsuccessful')
  local parent = { base = base, id = id, key = key, children = {}, knows_ended = known > 0 and not fresh[key] }
  parents[#parents + 1], by_key[key] = parent, parent
  return parent
end

-- is_told tells whether the parent has what became of the child, which may be
-- gone.
local function is_told(parent, child)
  return parent.knows_ended and (call('HEXISTS', parent.key .. ':processed', child) == 1 or call('HEXISTS', parent.key .. ':failed', child) == 1
    or call('ZSCORE', parent.key .. ':unsuccessful', child) ~= false)
end

-- is_forgotten tells whether the parent was done with a child that failed and
-- that it was to forget.
local function is_forgotten(node, key)
  if not call('ZSCORE', node.q.base .. 'failed', node.id) then
    return false
  end
  local fields = call('HMGET', key, 'parentKey', 'parent')
  return fields[1] == node.parent_key and policy_of(fields[2]).rdof == true
end

-- has_ended tells whether the job's parent is done with it. It neither waits
-- for it again, nor is it worked again if it is gone.
local function has_ended(node, key)
  if node.ended or ended[node.parent_key or ''] then
    return true
  elseif not node.above or node.made then
    return false
  end
  return is_told(node.above, key) or kind_of_key(key) == 'hash' and is_forgotten(node, key)
end

-- foresee notes what will become of a job, as far as that is sure.
local function foresee(node)
  local key = node.id and node.q.base .. node.id
  node.above = node.parent_key and meet_parent(node.parent_base, node.parent_id)
  if key and has_ended(node, key) then
    node.code, ended[key] = ENDED, true
    return
  elseif node.parent_key and not node.above then
    node.code = NO_PARENT
    return
  elseif not key then
    return
  end
  local kind = node.made and 'none' or kind_of_key(key)
  node.known = kind == 'hash'
  if kind == 'hash' or kind == 'none' then
    kinds[key], fresh[key] = 'hash', kind == 'none' or fresh[key]
  else
    node.code = NO_JOB
  end
end

-- check_node stops the call before anything is written if a key of the job's
-- queue that it needs is something else.
local function check_node(node)
  local q = node.q
  if not q.flows then
    check_release(q)
    ask('ZCARD', q.base .. 'completed')
    ask('ZCARD', q.base .. 'failed')
    q.flows = true
  end
  if node.dedup then
    ask('GET', q.base .. 'de:' .. node.dedup)
  end
end

-- foresee_all reads and checks the jobs, and returns how many of them are to be
-- added for each base, and to which queues.
local function foresee_all(count, now)
  local nodes, wanted, queues = {}, {}, {}
  for i = 1, count do
    local node = read_node(4 + (i - 1) * (NODE_FIELDS + JOB_FIELDS), now)
    local base = node.q.base
    check_node(node)
    foresee(node)
    if not node.code then
      if not wanted[base] then
        wanted[base], queues[#queues + 1] = 0, node.q
      end
      wanted[base] = wanted[base] + 1
    end
    nodes[i] = node
  end
  return nodes, wanted, queues
end

-- result_of returns the result of a completed job, which others may have
-- written, as JSON.
local function result_of(text)
  return text and pcall(cjson.decode, text) and text or 'null'
end

-- is_free tells whether a job may have the key.
local function is_free(key)
  local kind = kind_of_key(key)
  return kind == 'none' or kind == 'hash'
end

-- add_again links a job that is there already to its parent, unless another one
-- waits for it.
local function add_again(q, id, node)
  local key = q.base .. id
  local fields = call('HMGET', key, 'parentKey', 'returnvalue')
  if node.above then
    local old = fields[1]
    if old and old ~= node.parent_key and try('EXISTS', old) ~= 0 then
      return OTHER_PARENT
    end
    if call('ZSCORE', q.base .. 'completed', id) then
      call('HSET', node.parent_key .. ':processed', key, result_of(fields[2]))
    else
      node.above.children[#node.above.children + 1] = key
    end
    call('HSET', key, 'parentKey', node.parent_key, 'parent', node.parent)
  end
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'duplicated', 'jobId', id)
  return DUPLICATE
end

-- place_parent stores a job that waits for its children.
local function place_parent(q, id, node)
  store_job(q, id, node)
  call('ZADD', q.base .. 'waiting-children', node.stamp, id)
  call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'waiting-children', 'jobId', id)
end

-- put_parent is put_job for a job that waits for its children.
local function put_parent(q, id, node)
  local ok, err = pcall(place_parent, q, id, node)
  if not ok then
    call('ZREM', q.base .. 'waiting-children', id)
    take_back(q, id)
    error(err, 0)
  end
end

-- add_new stores a job and puts it where it waits.
local function add_new(q, id, node)
  if node.waits then
    put_parent(q, id, node)
  else
    put_job(q, id, node)
  end
  if node.above then
    node.above.children[#node.above.children + 1] = q.base .. id
  end
  return ACCEPTED
end

-- add_node adds one job with the counter value n.
local function add_node(n, node)
  local q = node.q
  local id = node.id or int_text(n)
  if node.above and node.above.lost then
    return NO_PARENT, id
  elseif not node.id and not is_free(q.base .. id) then
    return NO_JOB, id
  elseif not node.above and not node.waits then
    return add_job(q, n, node, '')
  elseif node.known then
    return add_again(q, id, node), id
  end
  return add_new(q, id, node), id
end

-- part takes a job that is not added from its parent. It may have been
-- announced by the call before.
local function part(node, status)
  local parent = node.above
  parent.lacks = parent.lacks or status ~= DUPLICATE and status ~= ENDED
  if node.id then
    parent.gone = parent.gone or {}
    table.insert(parent.gone, node.q.base .. node.id)
  end
end

-- add_one adds a job with the next counter value and returns its status, and its
-- id or why it broke off.
local function add_one(node, counters)
  local base = node.q.base
  counters[base] = counters[base] + 1
  local ok, status, id = pcall(add_node, counters[base] - 1, node)
  if ok then
    return status, id
  end
  local parent = node.id and by_key[base .. node.id]
  if parent and not node.known then
    parent.lost = true
  end
  return BROKE_OFF, words_of(status)
end

local function add_all(nodes, counters)
  local answers = {}
  for i, node in ipairs(nodes) do
    local status, id = node.code, ''
    if not status then
      status, id = add_one(node, counters)
    end
    answers[2 * i - 1], answers[2 * i] = status, id == node.id and '' or id
    if node.above and status ~= ACCEPTED then
      part(node, status)
    end
  end
  return answers
end

-- link_children makes the parents wait for their new children, and for none
-- that is not to be waited for.
local function link_children()
  for _, parent in ipairs(parents) do
    if parent.gone then
      call('SREM', parent.key .. ':dependencies', unpack(parent.gone))
    end
    if #parent.children > 0 and not parent.lost then
      call('SADD', parent.key .. ':dependencies', unpack(parent.children))
    end
  end
end

-- announce makes parents wait for a child that the next call adds.
local function announce(at)
  while ARGV[at] do
    local parent = not ended[ARGV[at] .. ARGV[at + 1]] and meet_parent(ARGV[at], ARGV[at + 1])
    if parent then
      parent.children[#parent.children + 1] = ARGV[at + 2]
    end
    at = at + 3
  end
end

-- release_idle releases the parents whose children are all done. One that lacks
-- a child that could not be added goes on waiting, as BullMQ has it.
local function release_idle(now)
  for _, parent in ipairs(parents) do
    if not parent.lacks and not parent.lost and call('SCARD', parent.key .. ':dependencies') == 0 then
      release_parent(queue_of(parent.base, ARGV[2]), parent.id, now)
    end
  end
end

local reply, overtaken = session_reply(KEYS[1], ARGV[1])
if reply or overtaken then
  return reply or overtaken
end

local now = clock_ms()
local count = tonumber(ARGV[3])
local nodes, wanted, queues = foresee_all(count, now)
announce(4 + count * (NODE_FIELDS + JOB_FIELDS))

local answers = add_all(nodes, take_ids(wanted))
link_children()
for _, q in ipairs(queues) do
  sign_queue(q)
  flush_pushes(q)
  call('XTRIM', q.events, 'MAXLEN', '~', max_events(q))
end
release_idle(now)

reply = cmsgpack.pack(answers)
session_record(KEYS[1], ARGV[1], reply)
return reply
