"""The views of the tests, each by its package."""

from django.urls import path

from tests.packages import graphql, ninja, rest

urlpatterns = [
    path("adrf/books/", rest.Books.as_view()),
    path("adrf/authors/", rest.Authors.as_view({"get": "alist", "post": "acreate"})),
    path("rest/authors/", rest.in_the_bridge(rest.DjangosAuthors.as_view({"get": "list", "post": "create"}))),
    path("ninja/", ninja.api.urls),
    path("graphql/", graphql.view),
]
