"""vinyl as an application of a project, which it need not be: `"vinyl"` in INSTALLED_APPS brings `manage.py vinyl`."""

from django.apps import AppConfig


class VinylConfig(AppConfig):
    """It has no models, and does nothing as it is loaded."""

    name = "vinyl"
    verbose_name = "vinyl"
    # There are no models to need one, and the project's checks need not ask.
    default_auto_field = "django.db.models.BigAutoField"
