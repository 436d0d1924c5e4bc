"""
The keys of PostgreSQL's advisory locks: all of them, so that no two are the same.

Any numbers will do, but they stay as they are: programs of two versions may be at work
on one database.
"""

MIGRATION_KEY = 8_675_001
IMPORT_KEY = 8_675_002
COPY_KEY = 8_675_003
# With a second key of 32 bits: the network whose holds are counted.
NETWORK_KEY = 8_675_004
REPAIR_KEY = 8_675_005
