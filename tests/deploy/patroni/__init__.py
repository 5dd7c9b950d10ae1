"""warouter above a PostgreSQL that Patroni keeps available: three machines, each with etcd, Patroni
and PostgreSQL 17 as Debian ships them, and the processes of warouter beside them.

member      a machine of the three: its configuration, what it is asked and told
trio        the three together: who leads, whether all is whole, what an operator does
faults      what happens to the leader, by name
watched     a run: traffic, one fault after the other, what each cost, and the judge
"""
