"""The URLs of the project."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    # The style sheets of the admin. In production a web server would stand in front and serve them.
    path("static/<path:path>", serve, {"insecure": True}),
    path("", include("shop.urls")),
]
