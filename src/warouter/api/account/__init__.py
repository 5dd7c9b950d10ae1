"""/v1/account: the registered number and the shard count.

registration        a code is asked for and verified
cloud_registration  the same with Meta
shards              the shard count is shown and set
"""
