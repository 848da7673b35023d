"""Settings for the plug-in of django-stubs, which asks Django for the models."""

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "tests.typing"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for type checkers"
