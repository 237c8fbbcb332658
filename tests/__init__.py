"""Tests start PostgreSQL as another user, for which Python forks while gRPC is at work: gRPC's handlers of a fork crash
the child then, and now and then whoever forked. They are off where this stands before gRPC is first used.
"""

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
