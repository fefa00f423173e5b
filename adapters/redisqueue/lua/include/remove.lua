-- @include operate
-- Removing jobs wherever they are, with their children (protocol 2.15).

-- How many jobs of one tree a call removes, and how deep it goes.
local TREE_MOST, DEPTH_MOST = 2000, 100

-- How many entries of lists a call looks through: a job in a long list has to
-- be searched for.
local WORK_MOST = 100000

-- find_set returns the name of the sorted set that has the job.
local function find_set(base, id)
  for _, set in ipairs({ 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }) do
    if call('ZSCORE', base .. set, id) then
      return set
    end
  end
  return nil
end

-- in_lists looks for the job in the lists, with one command for each, and
-- returns the name of the first in which it finds something, and how many
-- entries were looked through at most.
local function in_lists(base, id, find)
  local looked = 0
  for _, list in ipairs({ 'active', 'wait', 'paused' }) do
    looked = looked + call('LLEN', base .. list)
    if find(base .. list, id) then
      return list, looked
    end
  end
  return nil, looked
end

local function take_listed_one(key, id)
  return call('LREM', key, -1, id) > 0
end

local function find_listed(key, id)
  return call('LPOS', key, id, 'RANK', -1)
end

-- take_anywhere takes the job out of where it is, and returns the name of the
-- place, nil for none, and what it cost.
local function take_anywhere(base, id)
  local set = find_set(base, id)
  if set then
    call('ZREM', base .. set, id)
    return set, 1
  end
  return in_lists(base, id, take_listed_one)
end

-- append_all appends the values of a list to another.
local function append_all(list, values)
  for _, value in ipairs(values) do
    list[#list + 1] = value
  end
end

-- children_of returns children of a job, at most so many of a kind.
local function children_of(key, most)
  local pending = call('SRANDMEMBER', key .. ':dependencies', most)
  local ended = call('ZRANGE', key .. ':unsuccessful', 0, most - 1)
  append_all(ended, call('HRANDFIELD', key .. ':processed', most))
  append_all(ended, call('HRANDFIELD', key .. ':failed', most))
  return pending, ended
end

local add_children

-- add_tree appends a job and those below it to the tree, which it comes after.
-- It returns false when the tree is full, or when a job in it is being worked.
local function add_tree(tree, job, depth)
  if depth < DEPTH_MOST then
    local pending, ended = children_of(job.key, TREE_MOST)
    if not (add_children(tree, job, pending, depth, true) and add_children(tree, job, ended, depth, false)) then
      return false
    end
  end
  if #tree >= TREE_MOST then
    tree.full = true
    return false
  end
  tree[#tree + 1] = job
  return true
end

add_children = function(tree, job, children, depth, unfinished)
  for _, child in ipairs(children) do
    local cq, id = parent_of(job.q, child)
    if cq and not tree.seen[child] then
      if unfinished and call('EXISTS', child .. ':lock') == 1 then
        tree.locked = true
        return false
      end
      tree.seen[child] = true
      if not add_tree(tree, { q = cq, id = id, key = child, above = job.key }, depth + 1) then
        return false
      end
    end
  end
  return true
end

-- tree_of returns the job and those below it.
local function tree_of(q, id)
  local key = q.base .. id
  local tree = { seen = { [key] = true } }
  add_tree(tree, { q = q, id = id, key = key }, 0)
  return tree
end

-- forget_child drops what a parent knows of a child that goes before it.
local function forget_child(parent_key, child)
  call('SREM', parent_key .. ':dependencies', child)
  call('HDEL', parent_key .. ':processed', child)
  call('HDEL', parent_key .. ':failed', child)
  call('ZREM', parent_key .. ':unsuccessful', child)
end

-- remove_one removes one job of a tree. It returns whether there was anything,
-- and what it cost.
local function remove_one(job, now)
  local q, id, key = job.q, job.id, job.key
  local fields = look_at(q, id, 'parentKey', 'deid')
  if job.above then
    forget_child(job.above, key)
    if call('EXISTS', key) == 0 then
      return false, 1
    end
  end
  if fields[2] and fields[2] ~= job.above then
    unlink_child(q, key, fields[2], now, false)
  end
  local place, cost = take_anywhere(q.base, id)
  drop_dedup(q, id, fields[3])
  local deleted = 0
  if owns_keys(q, id, fields.foreign) then
    local list = {}
    job_keys(list, key)
    deleted = call('DEL', unpack(list))
  end
  if deleted > 0 then
    call('XADD', q.events, 'MAXLEN', '~', max_events(q), '*', 'event', 'removed', 'jobId', id, 'prev', place or 'unknown')
  end
  return deleted > 0 or place ~= nil, cost
end

-- remove_tree removes a job and those below it. The second value is what it
-- cost; the third tells that it was too much for one call, the fourth that a
-- worker has one of them.
local function remove_tree(q, id, now)
  local tree = tree_of(q, id)
  if tree.locked then
    return false, #tree, false, true
  end
  local removed, cost, total = false, 0, #tree
  for i, job in ipairs(tree) do
    removed, cost = remove_one(job, now)
    total = total + cost
    if total > WORK_MOST and i < #tree then
      return false, total, true
    end
  end
  return removed, total, tree.full
end
