"""The admin, as without vinyl."""

from django.contrib import admin

from tests.library.models import Author, Book

admin.site.register(Author)
admin.site.register(Book)
