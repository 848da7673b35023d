"""The configuration of the app."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """The record shop."""

    name = "shop"
