"""What type checkers are told of the public classes whose methods are made at run time. See docs/adr/0020.

The declarations are those of the async mode; tools/synchronous_stubs.py makes those of the sync mode from them, in
vinyl/_typed_sync/. tests/test_stubs.py compares both with what there is at run time.
"""
