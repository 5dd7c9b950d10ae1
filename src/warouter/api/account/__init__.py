"""/v1/account: the registered number and the shard count.

registration   a code is asked for and verified
shards         the shard count is shown and set
"""
