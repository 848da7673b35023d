"""The URLs."""

from django.urls import path

from lending import views

urlpatterns = [path("books/", views.books), path("titles/", views.titles)]
