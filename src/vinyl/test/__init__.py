"""For the tests of projects, where Django's TestCase and pytest-django's fixtures do not suffice: see docs/testing.md.

    class BookTests(VinylTestCase):
        async def asyncSetUp(self): …              fixtures that are awaited
        async with self.captureOnCommitCallbacks(execute=True): …

    with process_mode(is_async=False): …           the mode of the process, for a test

The fixtures of the pytest plug-in, in pytest_vinyl.py, are these too. Nothing of vinyl imports this package.
"""

from vinyl.test.cases import VinylTestCase
from vinyl.test.helpers import capture_on_commit_callbacks, process_mode

__all__ = ["VinylTestCase", "capture_on_commit_callbacks", "process_mode"]
