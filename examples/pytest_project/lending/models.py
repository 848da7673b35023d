"""Books, and who has them."""

from django.db import models

from vinyl import VinylManager


class Book(models.Model):
    """A title, of which there are some copies."""

    title = models.CharField(max_length=100)
    copies = models.PositiveIntegerField(default=1)

    vinyl = VinylManager()

    def __str__(self):
        return self.title


class Loan(models.Model):
    """A copy of a book that a reader has."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="loans")
    reader = models.CharField(max_length=50)

    vinyl = VinylManager()

    def __str__(self):
        return f"{self.book_id}, {self.reader}"
