-- Load one GitHub event, once: mark it as seen, append it to the stream, count it, score its actor.
--
-- Nothing is ever half done, though Redis does not roll a script back. What can be read is checked before the first write.
-- That is HINCRBY, which checks the count itself and is refused when Redis is out of memory or may not write; no write
-- behind it can be refused for that. Only XADD can still fail, on a key that is no stream, and then the count is taken back.
-- The loader has flattened the event: no JSON is decoded here, so no value changes on the way.
--
-- An hour is the unit of retention. Its first event gives its keys a lifetime; every mark of the hour expires at the same
-- millisecond. So an hour's counts never outlive the marks that keep them from being counted twice.
--
-- KEYS
--   1 mark         string      event-log:<id>: {"created_at":"<time>"}
--   2 own_mark     string      event-log:<id>@<created_at>: the mark of an event whose id another event had before
--   3 stream       stream      event-stream
--   4 scores       sorted set  dev-score:<hour>: login -> points
--   5 counts       hash        event-count:<hour>: event type -> events loaded
--   6 first        string      first-inserted-at
--
-- ARGV
--   1 created_at     time, RFC 3339 in UTC: with the id, it names the event
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

-- Numbers are handed to commands as the text that came in, where they came in: Redis 7.0 prints a Lua number with 17 digits,
-- which costs as much as a small command.
local mark, own_mark, stream, scores, counts, first = unpack(KEYS)
local created_at, kind, now = ARGV[1], ARGV[2], ARGV[3]
local maxlen, retention_ms = ARGV[4], ARGV[5]
local login, weight = ARGV[6], ARGV[7]
local fields_at = 8
local scored = login ~= '' and weight ~= '0'
-- Doubles, and so sorted-set scores and Lua's numbers, count exactly up to here.
local COUNT_MAX = 2 ^ 53 - 1000000

local function reject(reason)
  return 'reject:' .. reason
end

-- What pcall answers instead of raising an error; no command called here has a table as its good answer.
local function failed(reply)
  return type(reply) == 'table'
end

-- Seen before? The same id with another time is another event: GitHub's ids restarted in 2025.
local value = '{"created_at":"' .. created_at .. '"}'
local target = mark
local seen = redis.pcall('GET', mark)
if seen then
  if failed(seen) then return reject('event-log is not a string') end
  if seen == value or string.match(seen, '"created_at"%s*:%s*"([^"]*)"') == created_at then return 0 end
  target = own_mark
end
local own_seen = redis.pcall('GET', own_mark)
if failed(own_seen) then return reject('event-log is not a string') end
if own_seen then return 0 end

-- Checks.
local score = nil
if scored then
  score = redis.pcall('ZSCORE', scores, login)
  if failed(score) then return reject('dev-score is not a sorted set') end
  -- A comparison with nan is false, so this also refuses it.
  if score and not (tonumber(score) and math.abs(tonumber(score)) < COUNT_MAX) then
    return reject('dev-score holds no usable number')
  end
end
-- -2: this is the hour's first event; -1: the hour never expires.
local expires_at_ms = redis.call('PEXPIRETIME', counts)

-- The first write.
local count = redis.pcall('HINCRBY', counts, kind, '1')
if failed(count) then
  if string.match(count.err, '^WRONGTYPE') then return reject('event-count is not a hash') end
  if string.match(count.err, 'not an integer') or string.match(count.err, 'overflow') then
    return reject('event-count holds no usable number')
  end
  return count
end

if count < 1 or count >= COUNT_MAX then
  redis.call('HINCRBY', counts, kind, '-1')
  return reject('event-count holds no usable number')
end
local added
if maxlen ~= '0' then
  added = redis.pcall('XADD', stream, 'MAXLEN', '~', maxlen, '*', unpack(ARGV, fields_at))
else
  added = redis.pcall('XADD', stream, '*', unpack(ARGV, fields_at))
end
if failed(added) then
  -- A user who may not call HDEL is left with a zero.
  if count ~= 1 or failed(redis.pcall('HDEL', counts, kind)) then redis.call('HINCRBY', counts, kind, '-1') end
  if string.match(added.err, '^WRONGTYPE') then return reject('event-stream is not a stream') end
  return added
end

-- From here on nothing fails for a user who may run these commands.
local opens_hour = expires_at_ms == -2
if opens_hour then
  expires_at_ms = -1
  if retention_ms ~= '0' then
    local time = redis.call('TIME')
    expires_at_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(retention_ms)
    redis.call('PEXPIREAT', counts, expires_at_ms)
  end
  -- The first event of all opens an hour.
  redis.call('SET', first, now, 'NX')
end
if expires_at_ms == -1 then
  redis.call('SET', target, value)
else
  redis.call('SET', target, value, 'PXAT', expires_at_ms)
end
if scored then
  redis.call('ZINCRBY', scores, weight, login)
  -- Only the hour's first event or a login's first points can meet a key that has another lifetime.
  if (opens_hour or not score) and redis.call('PEXPIRETIME', scores) ~= expires_at_ms then
    if expires_at_ms == -1 then
      redis.call('PERSIST', scores)
    else
      redis.call('PEXPIREAT', scores, expires_at_ms)
    end
  end
end
return 1
