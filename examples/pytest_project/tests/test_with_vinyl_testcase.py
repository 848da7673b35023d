"""VinylTestCase: the same with fixtures that are awaited."""

from lending import desk
from lending.models import Book
from vinyl.test import VinylTestCase


class LoanTests(VinylTestCase):
    @classmethod
    async def asyncSetUpTestData(cls):
        cls.book = await Book.vinyl.create(title="Kindred", copies=1)

    async def asyncSetUp(self):
        desk.letters.clear()
        self.loan = await desk.lend(self.book.pk, "Ann")

    async def test_the_only_copy_is_with_her(self):
        with self.assertRaises(desk.NoneLeftError):
            await desk.lend(self.book.pk, "Bob")

    async def test_it_can_be_lent_again_after_she_has_returned_it(self):
        await self.loan.delete()
        async with self.captureOnCommitCallbacks(execute=True):
            await desk.lend(self.book.pk, "Bob")
        self.assertEqual(desk.letters, ["Bob has Kindred"])
