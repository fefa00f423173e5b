-- Fails as any write does while the server takes none.
--
-- KEYS  1 a key that nobody else uses
-- Reply  OK
return redis.call('SET', KEYS[1], '1', 'PX', 1)
