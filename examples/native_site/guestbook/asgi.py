"""The ASGI application, served natively: `uvicorn guestbook.asgi:application`. The import is all there is of vinyl."""

import os

from vinyl.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "guestbook.settings")

application = get_asgi_application()
