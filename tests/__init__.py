"""The tests of vinyl; `python -m tests` runs them on every database engine that it can have."""
