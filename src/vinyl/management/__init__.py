"""The commands of `manage.py`, for projects that have "vinyl" in INSTALLED_APPS."""
