"""A database backend without a database: Django's for PostgreSQL, whose statements are answered at once, from memory.

It is for measurements of the code above the driver, which must not depend on a server, a socket or a thread. Settings
name it as an ENGINE, `benchmarks.stub`; `benchmarks.stub.driver.register()` tells vinyl how it waits.
"""
