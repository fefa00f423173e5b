-- @include queue
-- What the end of a child does to its parent, and how jobs are deleted
-- (protocol B10, B12, 2.16).

-- parent_of splits a full job key into its queue and id, nil when it lies
-- outside the prefix of q: what others wrote there is none of our business.
local function parent_of(q, key)
  local base, id = string.match(key, '^(.*:)([^:]+)$')
  local prefix = string.match(q.base, '^(.*:)[^:]+:$')
  if not base or string.sub(base, 1, #prefix) ~= prefix or string.find(base, ':', #prefix + 1, true) ~= #base then
    return nil
  end
  return queue_of(base, q.profile), id
end

-- check_release stops the call before anything is written if a key is something
-- else that the queue of a parent needs to let it go: the parent would be in no
-- place.
local function check_release(pq)
  if not pq.releases then
    check_queue(pq)
    ask('ZCARD', pq.base .. 'waiting-children')
    ask('LLEN', pq.active)
    pq.releases = true
  end
end

-- check_pending does the same for a parent that a child may be the last to go
-- from, and for what the command reads of the parent, if there is one. It
-- returns how many children the parent waits for.
local function check_pending(pq, key, command, place)
  local pending = ask('SCARD', key .. ':dependencies')
  if command then
    ask(command, key .. place)
  end
  if pending == 1 then
    check_release(pq)
    ask('HLEN', key)
  end
  return pending
end

-- ready_parent makes ready, or delays, a parent that waits no more.
local function ready_parent(pq, id, now)
  local fields = call('HMGET', pq.base .. id, 'delay', 'priority')
  local delay, priority = tonumber(fields[1]) or 0, tonumber(fields[2]) or 0
  if delay > 0 then
    local due = now + delay
    call('ZADD', pq.delayed, due * SLOTS, id)
    call('XADD', pq.events, '*', 'event', 'delayed', 'jobId', id, 'delay', due)
    delay_marker(pq)
    return
  end
  line_up(pq, id, priority, 'RPUSH')
  base_marker(pq)
  call('XADD', pq.events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'waiting-children')
end

-- release_parent makes a parent that waits for its children ready.
local function release_parent(pq, id, now)
  check_release(pq)
  if ask('HLEN', pq.base .. id) > 0 and call('ZREM', pq.base .. 'waiting-children', id) == 1 then
    ready_parent(pq, id, now)
  end
end

-- child_completed hands the child's result to its parent.
local function child_completed(pq, parent, child, value, now)
  local key = pq.base .. parent
  local pending = check_pending(pq, key, 'HLEN', ':processed')
  if call('SREM', key .. ':dependencies', child) == 0 then
    return
  end
  call('HSET', key .. ':processed', child, value)
  if pending == 1 then
    release_parent(pq, parent, now)
  end
end

-- fail_parent makes the parent fail when it is next fetched.
local function fail_parent(pq, parent, child, now)
  local key = pq.base .. parent
  call('ZADD', key .. ':unsuccessful', now, child)
  local reason = 'child ' .. child .. ' failed'
  local waiting = call('ZREM', pq.base .. 'waiting-children', parent) == 1
  if not waiting and call('ZREM', pq.delayed, parent) == 1 then
    call('HSET', key, 'delay', 0)
    waiting = true
  end
  if waiting then
    call('HSET', key, 'defa', reason)
    ready_parent(pq, parent, now)
  elseif not call('ZSCORE', pq.base .. 'failed', parent) then
    call('HSET', key, 'defa', reason)
  end
end

-- policy_of reads the child policy from a job's parent field.
local function policy_of(text)
  local ok, parent = pcall(cjson.decode, text or '{}')
  if not ok or type(parent) ~= 'table' then
    return {}
  end
  return parent
end

-- child_failed does to the parent what the policy in the child's parent field
-- says.
local function child_failed(pq, parent, child, reason, now, policy)
  if not (policy.fpof or policy.cpof or policy.idof or policy.rdof) then
    return
  end
  local key = pq.base .. parent
  local pending = check_pending(pq, key, policy.fpof and 'ZCARD' or 'HLEN', policy.fpof and ':unsuccessful' or ':failed')
  if policy.fpof or policy.cpof then
    check_release(pq)
    ask('HLEN', key)
    ask('ZCARD', pq.base .. 'failed')
  end
  if call('SREM', key .. ':dependencies', child) == 0 then
    return
  end
  if policy.fpof then
    fail_parent(pq, parent, child, now)
    return
  end
  if not policy.rdof then
    call('HSET', key .. ':failed', child, reason)
  end
  if policy.cpof or pending == 1 then
    release_parent(pq, parent, now)
  end
end

-- What is wrong with the parent of a job that goes on regardless.
local complaint

-- tell does something to the parent of a job. What is wrong with the parent does
-- not stop the job, and is the call's to report.
local function tell(action, ...)
  local ok, err = pcall(action, ...)
  if not ok then
    complaint = complaint or words_of(err)
  end
end

-- job_keys appends the keys of a job, its lock excepted, to the list.
local function job_keys(list, key)
  local n = #list
  list[n + 1], list[n + 2], list[n + 3] = key, key .. ':logs', key .. ':dependencies'
  list[n + 4], list[n + 5], list[n + 6] = key .. ':processed', key .. ':failed', key .. ':unsuccessful'
end

-- owns_keys tells whether the keys named after the id are those of a job and
-- go with it. Others may have put any id into a list: that of a scheduler's
-- hash for instance, which has no timestamp.
local function owns_keys(q, id, foreign)
  if foreign or is_reserved(id) then
    return false
  end
  return not string.find(id, ':', 1, true) or call('HEXISTS', q.base .. id, 'timestamp') == 1
end

-- delete_keys deletes the keys, many in one command.
local function delete_keys(list)
  for from = 1, #list, 3000 do
    call('DEL', unpack(list, from, math.min(from + 2999, #list)))
  end
end

-- link_of returns how a parent knows of its child, nil if it does not wait for
-- it: last tells whether it waits for no other, and gone whether it is then
-- deleted. The keys that the parent would come to are looked at.
local function link_of(q, child, parent_key, hard)
  local pq, parent = parent_of(q, parent_key)
  if not pq or call('EXISTS', parent_key) == 0 then
    return nil
  end
  if ask('SISMEMBER', parent_key .. ':dependencies', child) == 0 then
    return nil
  end
  local link = { q = pq, id = parent, key = parent_key, child = child }
  link.last = check_pending(pq, parent_key) == 1 and call('ZSCORE', pq.base .. 'waiting-children', parent) ~= false
  link.gone = link.last and hard and pq.base == q.base
  return link
end

-- links_above returns the links from a child to its parent, and from one that is
-- deleted with it to its own, and so on.
local function links_above(q, child, parent_key, hard)
  local links, seen = {}, {}
  while parent_key and not seen[parent_key] do
    seen[parent_key] = true
    local link = link_of(q, child, parent_key, hard)
    links[#links + 1] = link
    if not link or not link.gone then
      break
    end
    q, child, parent_key = link.q, parent_key, call('HGET', parent_key, 'parentKey')
  end
  return links
end

-- unlink_child takes the child out of its parent's dependencies; the last one
-- releases the parent. Hard deletes a parent of the same queue instead, as
-- operations by hand do. Before anything is written all is looked at.
local function unlink_child(q, child, parent_key, now, hard)
  for _, link in ipairs(links_above(q, child, parent_key, hard)) do
    local pq = link.q
    call('SREM', link.key .. ':dependencies', link.child)
    if link.last then
      call('ZREM', pq.base .. 'waiting-children', link.id)
    end
    if link.gone then
      local list = {}
      job_keys(list, link.key)
      delete_keys(list)
    elseif link.last then
      call('RPUSH', ready_list(pq), link.id)
      base_marker(pq)
      if not hard then
        call('XADD', pq.events, '*', 'event', 'waiting', 'jobId', link.id, 'prev', 'waiting-children')
      end
    end
  end
end
