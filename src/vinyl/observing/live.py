"""`vinyl.activity()`, and what makes a process answer others that ask for it; activities.py is loaded by either.

Importing vinyl loads this module, so it must not load what few processes need.
"""

from typing import TYPE_CHECKING

from vinyl.common import process_wide
from vinyl.conf import activity_folder

if TYPE_CHECKING:
    from vinyl.observing.activities import Activities


def activity() -> "Activities":
    """Return what goes on in the running event loop. ModeError where there is none; it waits for nothing."""
    from vinyl.observing import activities

    return activities.of_running_loop()


def _begin() -> None:
    """Answer from now on, as an event loop of the process uses a database, if the settings say so."""
    folder = activity_folder()
    if folder is not None:
        from vinyl.observing import activities

        activities.serve(folder)


def register() -> None:
    """Have the settings looked at as the first event loop uses a database. Again: nothing."""
    if _begin not in process_wide.beginnings:
        process_wide.beginnings.append(_begin)
