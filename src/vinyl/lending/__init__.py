"""Lending connections: whose connection it is, for how long, and who waits for one.

    scopes      which wrapper belongs to the code that runs; one source of connections for each loop and alias
    shared      the connection of a test's transaction, which everything in the process uses
    wrappers    Django's DatabaseWrapper, with a connection that it borrows for as long as it needs one
    pins        a wrapper that is kept for a task: by a transaction, or a hold
    turns       tasks that share a pinned wrapper, one after the other
    pool        a bounded pool of anything, for one event loop

The package knows drivers and Django's wrappers. It knows neither models nor queries.
"""
