"""The ASGI application: `uvicorn config.asgi:application`. As Django wrote it: vinyl is asynchronous anyway."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
