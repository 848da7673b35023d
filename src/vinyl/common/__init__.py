"""Common ground: what knows nobody, and serves all.

    classes         which vinyl class stands for a Django model
    content_types   content types at hand, for generic relations
    deadlines       until when database work may wait
    mementos        what an instance was like, so that a write can be undone
    originals       whether Django's cursors are as Django has them
    process_wide    what looks at all statements of the process
    tasks           coroutines side by side
    variables       context variables that have a value within a block
    whereabouts     where code is at the moment, in the project's lines

Nothing here imports anything of vinyl's but its errors.
"""
