"""The model that takes the place of auth's."""

from django.contrib.auth.models import AbstractUser, UserManager

from tests.kinds import custom
from vinyl import VinylManager


class Users(UserManager):
    def get_by_natural_key(self, username):
        return self.get(username__iexact=username)


class User(AbstractUser):
    objects = Users()
    vinyl = VinylManager(model=custom.User)
