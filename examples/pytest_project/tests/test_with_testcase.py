"""Tests of Django's own kind. What is made once for the class is copied for each test."""

from django.test import TestCase

from lending import desk
from lending.models import Loan
from tests.factories import make_book, make_loan


class BookTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.book = make_book(title="Kindred")

    async def test_a_copy_is_lent(self):
        await desk.lend(self.book.pk, "Ann")
        self.assertEqual(await Loan.vinyl.filter(book=self.book).count(), 1)

    async def test_the_page_needs_two_queries(self):
        with self.assertNumQueries(2):
            response = await self.async_client.get("/books/")
        self.assertEqual(response.json(), {"Kindred": []})

    def test_a_synchronous_test(self):
        make_loan(book=self.book, reader="Ann")
        self.assertEqual(self.client.get("/books/").json(), {"Kindred": ["Ann"]})
