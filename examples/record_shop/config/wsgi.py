"""The WSGI application: `gunicorn config.wsgi:application`. One line tells vinyl that nothing is awaited here."""

import os

from django.core.wsgi import get_wsgi_application

import vinyl

vinyl.set_async(False)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
