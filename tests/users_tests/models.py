from django.db import models

from vinyl import VinylManager


class Author(models.Model):
    name = models.CharField(max_length=50, unique=True)

    vinyl = VinylManager()
