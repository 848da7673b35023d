"""Views of both kinds."""

from django.http import JsonResponse

from lending.models import Book


async def books(request):
    """The books with their readers, in two queries however many there are."""
    found = await Book.vinyl.order_by("title").prefetch_related("loans")
    return JsonResponse({book.title: [loan.reader for loan in book.loans.all()] for book in found})


def titles(request):
    """The titles, synchronously."""
    return JsonResponse({"titles": [book.title for book in Book.objects.order_by("title")]})
