"""The back office a second time, in the plainest way there is: domain.md 3 to 6 in lists and loops.

The store is compared with this, so nothing here comes from it: the standard library and tests/oracle.py only. All
of it is kept as it was said (orders, assignments, statements), and each question goes through all of it again. An
instant is an int, microseconds since 1970-01-01T00:00Z; NEVER is the end of what has none. Money is in millionths, so
are days of balance.

An operation is judged before it is done: a Ruling says what refuses it for certain (`must`: any of these may be named),
what may refuse it where domain.md leaves the point open (`may`), and how to do it.
"""
