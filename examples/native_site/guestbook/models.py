"""The model. It has no VinylManager: the site is synchronous."""

from django.conf import settings
from django.db import models


class Entry(models.Model):
    """What a guest has written."""

    guest = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="entries")
    text = models.CharField(max_length=200)
    written = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "entries"

    def __str__(self):
        return self.text
