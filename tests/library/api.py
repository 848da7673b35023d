"""Serializers of Django REST framework, as a project would write them."""

from typing import Any

from rest_framework import serializers

from tests.library.models import Author, Book, Cover, Tag


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ["label"]


class AuthorSerializer(serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ["name", "born"]


class BookSerializer(serializers.ModelSerializer):
    """Relations are given as keys."""

    class Meta:
        model = Book
        fields = ["title", "price", "author", "tags"]


class NestedBookSerializer(serializers.ModelSerializer):
    """Relations are given as what they lead to."""

    author = AuthorSerializer()
    tags = TagSerializer(many=True)
    colour = serializers.CharField(source="cover.colour", default=None)

    class Meta:
        model = Book
        fields = ["title", "author", "tags", "colour"]


class BooksOfAuthorSerializer(serializers.ModelSerializer):
    books = serializers.SlugRelatedField("title", many=True, read_only=True)

    class Meta:
        model = Author
        fields = ["name", "books"]


class DeepCoverSerializer(serializers.ModelSerializer):
    class Meta:
        model = Cover
        fields = ["colour", "book"]
        depth = 2


class VinylAuthorSerializer(AuthorSerializer):
    """Writes by vinyl: `await vinyl.run(serializer.save)`."""

    def create(self, validated_data: dict[str, Any]) -> Any:
        return Author.vinyl(**validated_data).insert()

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        return instance.update(**validated_data)
