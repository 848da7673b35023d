"""Faces: what a project calls. They have Django's names, find the caller's mode, and hold no SQL.

    managers            VinylManager, the one line on a model; makes vinyl classes
    models              VinylModel: insert, update, delete, refresh, load
    queryset            Django's QuerySet and RawQuerySet, whose queries are operations
    results             how a queryset is loaded, streamed and refused to Python's syntax, in each mode
    relations           what was loaded can be used, anything else raises UnloadedAttribute
    accessors           methods that Django adds to a model for its fields: get_next_by_…() and its like
    methods             the project's own methods of querysets and managers
    arguments           arguments that Django makes nonsense of
    frozen              queries as functions of their parameters
    side_by_side        gather() and start()
    sql                 vinyl.connection: SQL by hand, cursors, hold()
    blocks              blocks that keep a connection, and its turn where tasks share it
    deadline_blocks     vinyl.deadline()

Everything here goes through dispatch.py, which carries an operation out in the caller's mode.
"""
