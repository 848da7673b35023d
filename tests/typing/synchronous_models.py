"""Models of a project that is written for the sync mode."""

from django.db import models

from vinyl.sync import VinylManager, VinylQuerySet, VinylRelatedManager, VinylTyped


class SaleQuerySet(VinylQuerySet["Sale"]):
    def large(self) -> "SaleQuerySet":
        return self.filter(amount__gt=100)


class Shop(VinylTyped, models.Model):
    sales: "VinylRelatedManager[Sale]"

    vinyl = VinylManager()

    class Meta:
        app_label = "typing"


class Sale(VinylTyped, models.Model):
    shop: "models.ForeignKey[Shop, Shop]" = models.ForeignKey(Shop, models.CASCADE, related_name="sales")
    amount: "models.IntegerField[int, int]" = models.IntegerField()

    vinyl = VinylManager()
    own = VinylManager.from_queryset(SaleQuerySet)()

    class Meta:
        app_label = "typing"
