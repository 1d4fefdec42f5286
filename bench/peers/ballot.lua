-- One ballot, for bench/peers/redis.py. KEYS: set of voters, hash of votes, stream of ballots.
-- ARGV: voter; a number whose last digit is the option.
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local option = string.sub(ARGV[2], -1)
redis.call('HINCRBY', KEYS[2], option, 1)
redis.call('XADD', KEYS[3], '*', 'voter', ARGV[1], 'option', option)
return 1
