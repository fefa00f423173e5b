-- @include operate
-- Removing jobs wherever they are, with their children (protocol 2.15).

-- How many jobs of one tree a call removes, about, and how deep it goes.
local TREE_MOST, DEPTH_MOST = 200, 100

-- How much work a call does, in entries of lists that are looked through: a job
-- in a long list has to be searched for. To look at the keys of a job, and to
-- remove it, takes as long as to look through so many entries.
local WORK_MOST, LOOK_WORK, REMOVE_WORK = 100000, 100, 400

-- Where jobs may be.
local SETS = { 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }
local LISTS = { 'active', 'wait', 'paused' }

-- check_places stops the call before anything is written if a key of the queue
-- is something else: a job that is half removed may be one that nobody finds.
local function check_places(q)
  if q.checked then
    return
  end
  q.checked = true
  check_change(q)
  for _, set in ipairs(SETS) do
    ask('ZCARD', q.base .. set)
  end
  for _, list in ipairs(LISTS) do
    ask('LLEN', q.base .. list)
  end
end

-- check_parent does the same for the parent of a job, which it waits for.
local function check_parent(q, id)
  local parent_key = look_at(q, id, 'parentKey')[2]
  local pq = parent_key and parent_of(q, parent_key)
  if pq then
    check_places(pq)
    ask('SCARD', parent_key .. ':dependencies')
  end
end

-- find_set returns the name of the sorted set that has the job.
local function find_set(base, id)
  for _, set in ipairs(SETS) do
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
  for _, list in ipairs(LISTS) do
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
-- place, nil for none, and how many entries of lists were looked through.
local function take_anywhere(base, id)
  local set = find_set(base, id)
  if set then
    call('ZREM', base .. set, id)
    return set, 0
  end
  return in_lists(base, id, take_listed_one)
end

-- children_of returns children of a job, at most so many of a kind.
local function children_of(key, most)
  local pending = ask('SRANDMEMBER', key .. ':dependencies', most)
  local ended = ask('ZRANGE', key .. ':unsuccessful', 0, most - 1)
  append_all(ended, ask('HRANDFIELD', key .. ':processed', most))
  append_all(ended, ask('HRANDFIELD', key .. ':failed', most))
  return pending, ended
end

-- has_lock tells whether a worker has the job.
local function has_lock(key)
  return call('EXISTS', key .. ':lock') == 1
end

-- is_worked tells whether a worker has one of the children.
local function is_worked(q, children)
  for _, child in ipairs(children) do
    if parent_of(q, child) and has_lock(child) then
      return true
    end
  end
  return false
end

local add_children

-- add_tree appends a job and those below it to the tree, which it comes after.
-- Those that have ended come first, so that the job goes with the last one that
-- it waits for. It returns false when the tree is full, or when a job in it is
-- being worked.
local function add_tree(tree, job, depth)
  check_places(job.q)
  if depth < DEPTH_MOST then
    -- One more than there is room for, as the job stays if one is left.
    local pending, ended = children_of(job.key, TREE_MOST + 1)
    tree.locked = tree.locked or (depth == 0 and is_worked(job.q, pending))
    if tree.locked or not (add_children(tree, job, ended, depth, false) and add_children(tree, job, pending, depth, true)) then
      return false
    end
  end
  tree[#tree + 1] = job
  return true
end

add_children = function(tree, job, children, depth, unfinished)
  for _, child in ipairs(children) do
    local cq, id = parent_of(job.q, child)
    if cq and not tree.seen[child] then
      if unfinished and has_lock(child) then
        tree.locked = true
        return false
      elseif #tree >= TREE_MOST then
        tree.full = true
        return false
      end
      tree.seen[child] = true
      if not add_tree(tree, { q = cq, id = id, key = child, above = job.key, parent = job }, depth + 1) then
        return false
      end
    end
  end
  return true
end

-- tree_of returns the job and those below it.
local function tree_of(q, id)
  local key = q.base .. id
  local tree = { locked = false, full = false, seen = { [key] = true } }
  check_parent(q, id)
  add_tree(tree, { q = q, id = id, key = key }, 0)
  return tree
end

-- forget_child drops what a parent knows of a child that goes before it, and
-- tells whether it waited for it.
local function forget_child(parent_key, child)
  call('HDEL', parent_key .. ':processed', child)
  call('HDEL', parent_key .. ':failed', child)
  call('ZREM', parent_key .. ':unsuccessful', child)
  return call('SREM', parent_key .. ':dependencies', child) == 1
end

-- remove_one removes one job, which may be one of a tree. It returns whether
-- there was anything, and how many entries of lists were looked through.
local function remove_one(job, now)
  local q, id, key = job.q, job.id, job.key
  local fields = look_at(q, id, 'parentKey', 'deid')
  if job.above then
    job.waited_for = forget_child(job.above, key)
    if call('EXISTS', key) == 0 then
      return false, 0
    end
  end
  if fields[2] and fields[2] ~= job.above then
    unlink_child(q, key, fields[2], now, false)
  end
  local place, looked = take_anywhere(q.base, id)
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
  return deleted > 0 or place ~= nil, looked
end

-- waits_for_none tells whether a job has no child that it waits for.
local function waits_for_none(key)
  return call('SCARD', key .. ':dependencies') == 0
end

-- stops_at tells whether a removal pauses after the job. It goes a bit further
-- when that was the last child that its parent waited for.
local function stops_at(job, searched)
  if searched > WORK_MOST and job.waited_for and searched <= 2 * WORK_MOST then
    return not waits_for_none(job.above)
  end
  return searched > WORK_MOST
end

-- remove_some removes jobs of the tree, in its order, and keeps account of it
-- in the pass.
local function remove_some(tree, pass, now)
  local searched, left = 0, {}
  for i, job in ipairs(tree) do
    local removed, looked = remove_one(job, now)
    pass.removed, searched = removed, searched + looked
    if removed then
      pass.gone[#pass.gone + 1] = job.key
    end
    left[job.key] = nil
    if job.waited_for then
      left[job.above] = job.parent
    end
    if i < #tree and stops_at(job, searched) then
      pass.again = true
      break
    end
  end
  pass.work = pass.work + REMOVE_WORK * #pass.gone + searched
  return left
end

-- remove_tree removes a job and those below it, or as many of them as one call
-- can, and returns what it did: removed, whether there was anything; locked,
-- whether a worker has one of them, and all of them are left; again, whether
-- there is more to do, and which ones are gone until then; work, what it took.
local function remove_tree(q, id, now)
  local tree = tree_of(q, id)
  local pass = { removed = false, locked = tree.locked, again = tree.full, gone = {}, work = LOOK_WORK * #tree }
  if tree.locked then
    return pass
  end
  local left = remove_some(tree, pass, now)
  if pass.again then
    -- Who asks for more may die before that: none may be left without one that
    -- it waits for.
    for key, job in pairs(left) do
      if waits_for_none(key) then
        release_parent(job.q, job.id, now)
      end
    end
  end
  return pass
end
