"""The scripts that change a cart inside Redis, where nothing comes between the check of a limit and the change."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """The first element of a script's answer; the second depends on it."""

    DONE = 0  # the cart: product, quantity, product, quantity, …
    TOO_MANY = 1  # the quantity that the line has
    CART_FULL = 2
    KEY_REUSED = 3


#: KEYS: cart, idempotency key.
#: ARGV: product, quantity, most of one, most lines, seconds a cart lives, seconds a key lives.
#: A refusal leaves no key behind: it may be tried again when the cart has room.
ADD = """
local asked = ARGV[1] .. ':' .. ARGV[2]
local earlier = redis.call('GET', KEYS[2])
if earlier and earlier ~= asked then return {3, 0} end
if not earlier then
  local held = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
  if held + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return {1, held} end
  if held == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return {2, 0} end
  redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  redis.call('SET', KEYS[2], asked, 'EX', ARGV[6])
end
return {0, redis.call('HGETALL', KEYS[1])}
"""

#: KEYS: cart. ARGV: product, quantity, most lines, seconds a cart lives.
SET = """
if tonumber(ARGV[2]) == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  local new = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
  if new and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return {2, 0} end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {0, redis.call('HGETALL', KEYS[1])}
"""
