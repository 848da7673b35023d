"""Rows in an order that is kept with respect to another."""

import datetime as dt

from django.db import models

from vinyl import VinylManager


class Question(models.Model):
    text = models.CharField(max_length=50)
    asked = models.DateField(null=True)

    vinyl = VinylManager()


class Answer(models.Model):
    question = models.ForeignKey(Question, models.CASCADE, related_name="answers")
    text = models.CharField(max_length=50)
    given = models.DateField(default=dt.date(2001, 1, 1))

    vinyl = VinylManager()

    class Meta:
        order_with_respect_to = "question"


class LongAnswer(Answer):
    """A child whose parent is ordered."""

    pages = models.IntegerField(default=1)
