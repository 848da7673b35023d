"""Observing: which queries were made, by which line, and what goes on at the moment.

    counting        vinyl.count_queries()
    repetitions     which of its queries are one too many, and the edit that cures it
    activities      what runs, who waits and who holds
    live            the same for whoever asks from outside of the process

Nothing else of vinyl depends on this package.
"""
