"""A project as users write it, which type checkers look at; nothing here is executed. See tests/test_typing.py."""
