"""Counts the instructions of hot paths under valgrind, and compares them with a baseline: a guard for CI.

Unlike times, counts do not depend on what else the machine does. They are written as ratios to a reference that vinyl
has no part in, which is counted in the same process, so that another build of the same Python is no change.
"""
