"""The WSGI application: `gunicorn config.wsgi:application`. As Django wrote it: see the first line of MIDDLEWARE."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
