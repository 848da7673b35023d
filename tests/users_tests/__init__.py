"""A user's little project, whose tests tests.test_users_tests_* run as its author would: each suite_*.py is one way.

They know nothing of vinyl's own tests, but where the server is.
"""
