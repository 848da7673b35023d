"""The bank: accounts, and the ledger of what was transferred between them."""

from django.db import models

from vinyl import VinylManager, VinylTyped

START = 1000


class Account(VinylTyped, models.Model):
    balance: "models.BigIntegerField[int, int]" = models.BigIntegerField(default=START)

    vinyl = VinylManager()


class Entry(VinylTyped, models.Model):
    """A transfer in the ledger. Its number is not unique for the database: that it is entered once is to be proven.

    `attempt` is counted up in the instance by each attempt at the transfer, and is 1 as long as each of them begins
    with the instance as it was.
    """

    number: "models.IntegerField[int, int]" = models.IntegerField()
    source: "models.ForeignKey[Account, Account]" = models.ForeignKey(Account, models.CASCADE, related_name="outgoing")
    target: "models.ForeignKey[Account, Account]" = models.ForeignKey(Account, models.CASCADE, related_name="incoming")
    amount: "models.IntegerField[int, int]" = models.IntegerField()
    attempt: "models.IntegerField[int, int]" = models.IntegerField(default=0)

    vinyl = VinylManager()
