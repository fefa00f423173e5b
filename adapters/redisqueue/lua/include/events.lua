-- Where a stream of events begins and ends.

-- stream_ends returns the id of the first entry, empty if there is none, and
-- that of the latest entry that there was, 0-0 if there was none; then how many
-- entries were removed, -1 where the server does not count (before Redis 7).
local function stream_ends(key)
  local first, last, removed = '', '0-0', -1
  if redis.call('EXISTS', key) == 0 then
    return first, last, removed
  end
  local info = redis.call('XINFO', 'STREAM', key)
  local told = {}
  for i = 1, #info, 2 do
    told[info[i]] = info[i + 1]
  end
  if told['first-entry'] then
    first = told['first-entry'][1]
  end
  if told['entries-added'] then
    removed = told['entries-added'] - told['length']
  end
  return first, told['last-generated-id'], removed
end
