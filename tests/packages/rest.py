"""Views of REST framework: asynchronous ones by adrf, and REST framework's own in the bridge."""

import functools

import adrf.serializers
import adrf.views
import adrf.viewsets
import rest_framework.viewsets
from rest_framework import serializers
from rest_framework.response import Response

import vinyl
from tests.library.models import Author, Book


class AuthorSerializer(serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ("id", "name")


class BookSerializer(serializers.ModelSerializer):
    author = AuthorSerializer()

    class Meta:
        model = Book
        fields = ("title", "author")


class Books(adrf.views.APIView):
    async def get(self, request):
        books = await Book.vinyl.select_related("author").order_by("title")
        return Response(BookSerializer(books, many=True).data)


class AsynchronousAuthorSerializer(adrf.serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ("id", "name")

    async def acreate(self, validated_data):
        return await Author.vinyl.create(**validated_data)


class Authors(adrf.viewsets.ModelViewSet):
    queryset = Author.vinyl.order_by("name")
    serializer_class = AsynchronousAuthorSerializer


class DjangosAuthors(rest_framework.viewsets.ModelViewSet):
    queryset = Author.objects.order_by("name")
    serializer_class = AuthorSerializer


def in_the_bridge(view):
    """Make of a synchronous view an asynchronous one: it waits on the event loop, without a thread."""

    @functools.wraps(view)
    async def asynchronous(request, *args, **kwargs):
        response = await vinyl.run(view, request, *args, **kwargs)
        return await vinyl.run(response.render)

    return asynchronous
