-- Load one GitHub event, once: enter it in the event log, count it, append it to the stream, score its actor.
--
-- The event log says which events are loaded. It has two layouts. With per-event, each event has a key, its mark. With
-- per-second, all events created in one second share a set, and SADD says whether the event is new.
--
-- Nothing is ever half done, though Redis does not roll a script back. The first write, SADD or HINCRBY, is refused when Redis is
-- out of memory or may not write; no write behind it can be refused for that. If a later step meets a key of another type or a
-- number that it cannot use, the steps before it are taken back. From the mark on nothing fails.
-- The loader has flattened the event: no JSON is decoded here, so no value changes on the way.
--
-- An hour is the unit of retention. Its first event gives its keys a lifetime; every key of the event log for that hour expires at
-- the same millisecond. So an hour's counts never outlive the log that keeps them from being counted twice.
--
-- KEYS
--   1 log            per-event: string event-log:<id>: {"created_at":"<time>"}; per-second: set event-log:<created_at>: ids
--   2 stream         stream      event-stream
--   3 scores         sorted set  dev-score:<hour>: login -> points
--   4 counts         hash        event-count:<hour>: event type -> events loaded
--   5 first          string      first-inserted-at
--   6 hours          sorted set  hours: hour -> when its keys expire, in milliseconds; +inf means never
--   7 own_mark       per-event: string event-log:<id>@<created_at>: the mark of an event whose id another event had before
--
-- ARGV
--   1 member         per-event: created_at, a time, RFC 3339 in UTC; per-second: the id. With log, it names the event
--   2 kind           event type
--   3 now            time, RFC 3339 in UTC: when this load happens, for first-inserted-at
--   4 maxlen         events, about how many the stream keeps; 0 keeps all
--   5 retention_ms   milliseconds from an hour's first load until it expires; 0 means never
--   6 login          who scores; empty means nobody
--   7 weight         points, a whole number
--   8 fields         the flattened event: name, value, name, value, ...
--
-- Returns
--   1                loaded
--   0                loaded before, nothing changed
--   reject:<reason>  a key holds something else than ours, nothing changed

-- This runs for every event. Local functions would cost as much as a command of Redis each, so there are none. Numbers go to
-- commands as text: Redis 7.0 prints a Lua number with 17 digits, which costs as much, too.
local log, stream, scores, counts, first, hours, own_mark = unpack(KEYS)
local member, kind, now = ARGV[1], ARGV[2], ARGV[3]
local maxlen, retention_ms = ARGV[4], ARGV[5]
local login, weight = ARGV[6], ARGV[7]
local fields_at = 8
local call, pcall = redis.call, redis.pcall
local per_second = own_mark == nil
local scored = login ~= '' and weight ~= '0'
-- Doubles, and so sorted-set scores and Lua's numbers, count exactly up to here.
local COUNT_MAX = 2 ^ 53 - 1000000

-- An answer of pcall that is a table is an error: no command that is called here has a table as its good answer.

-- Seen before? The same id with another time is another event: GitHub's ids restarted in 2025.
local target, value = log, nil
-- When the hour expires: -2: this is the hour's first event; -1: the hour never expires; nil: not looked up.
local expires_at_ms = nil
if per_second then
  -- The first write.
  local entered = pcall('SADD', log, member)
  if entered == 0 then return 0 end
  if entered ~= 1 then
    if string.match(entered.err, '^WRONGTYPE') then return 'reject:event-log is not a set' end
    -- A full Redis refuses SADD also for an event that is loaded.
    if pcall('SISMEMBER', log, member) == 1 then return 0 end
    return entered
  end
  -- A set that is new needs the hour's lifetime.
  if call('SCARD', log) == 1 then expires_at_ms = call('PEXPIRETIME', counts) end
else
  value = '{"created_at":"' .. member .. '"}'
  local seen = pcall('GET', log)
  if seen then
    if type(seen) == 'table' then return 'reject:event-log is not a string' end
    if seen == value or string.match(seen, '"created_at"%s*:%s*"([^"]*)"') == member then return 0 end
    target = own_mark
  end
  local own_seen = pcall('GET', own_mark)
  if own_seen then
    if type(own_seen) == 'table' then return 'reject:event-log is not a string' end
    return 0
  end
  expires_at_ms = call('PEXPIRETIME', counts)
end

-- Why the event cannot be loaded, once that is known.
local refusal = nil

local score = nil
if scored then
  score = pcall('ZSCORE', scores, login)
  if type(score) == 'table' then
    refusal = 'reject:dev-score is not a sorted set'
  elseif score then
    local points = tonumber(score)
    -- A comparison with nan is false, so this also refuses it.
    if not (points and points < COUNT_MAX and points > -COUNT_MAX) then
      refusal = 'reject:dev-score holds no usable number'
    end
  end
end

-- With per-event, this is the first write.
local count = nil
if not refusal then
  count = pcall('HINCRBY', counts, kind, '1')
  if type(count) == 'table' then
    refusal = count
    if string.match(count.err, '^WRONGTYPE') then
      refusal = 'reject:event-count is not a hash'
    elseif string.match(count.err, 'not an integer') or string.match(count.err, 'overflow') then
      refusal = 'reject:event-count holds no usable number'
    end
  elseif count < 1 or count >= COUNT_MAX then
    call('HINCRBY', counts, kind, '-1')
    refusal = 'reject:event-count holds no usable number'
  end
end

if not refusal then
  local added
  if maxlen ~= '0' then
    added = pcall('XADD', stream, 'MAXLEN', '~', maxlen, '*', unpack(ARGV, fields_at))
  else
    added = pcall('XADD', stream, '*', unpack(ARGV, fields_at))
  end
  if type(added) == 'table' then
    -- A user who may not call HDEL is left with a zero.
    if count ~= 1 or type(pcall('HDEL', counts, kind)) == 'table' then call('HINCRBY', counts, kind, '-1') end
    refusal = added
    if string.match(added.err, '^WRONGTYPE') then refusal = 'reject:event-stream is not a stream' end
  end
end

if refusal then
  if per_second then call('SREM', log, member) end
  return refusal
end

-- From here on nothing fails for a user who may run these commands.
-- A second that has its set can open the hour only after somebody has deleted the hour's counts.
if not expires_at_ms and count == 1 and call('HLEN', counts) == 1 then expires_at_ms = -2 end
local opens_hour = expires_at_ms == -2
if opens_hour then
  expires_at_ms = -1
  if retention_ms ~= '0' then
    local time = call('TIME')
    local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    expires_at_ms = now_ms + tonumber(retention_ms)
    call('PEXPIREAT', counts, string.format('%d', expires_at_ms))
    pcall('ZREMRANGEBYSCORE', hours, '-inf', string.format('%d', now_ms))
  end
  -- An index for readers: if its key is broken, loading goes on.
  local listed_until = expires_at_ms == -1 and '+inf' or string.format('%d', expires_at_ms)
  pcall('ZADD', hours, listed_until, string.match(counts, '[^:]*$'))
  -- The first event of all opens an hour.
  call('SET', first, now, 'NX')
end

if per_second then
  if expires_at_ms and expires_at_ms ~= -1 then
    call('PEXPIREAT', log, string.format('%d', expires_at_ms))
  end
elseif expires_at_ms == -1 then
  call('SET', target, value)
else
  call('SET', target, value, 'PXAT', string.format('%d', expires_at_ms))
end

if scored then call('ZINCRBY', scores, weight, login) end
-- Only the hour's first event or a login's first points can meet scores that do not have the hour's lifetime.
local scores_join = opens_hour
if scored and not score and not opens_hour then scores_join = call('PEXPIRETIME', scores) == -1 end
if scores_join then
  if not expires_at_ms then expires_at_ms = call('PEXPIRETIME', counts) end
  if expires_at_ms == -1 then
    call('PERSIST', scores)
  else
    call('PEXPIREAT', scores, string.format('%d', expires_at_ms))
  end
end
return 1
