"""The URLs of the site."""

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path

from guestbook import views

urlpatterns = [
    path("", views.EntryList.as_view(), name="entries"),
    path("sign/", views.Sign.as_view(), name="sign"),
    path("report/", views.report, name="report"),
    path("export/", views.export, name="export"),
    path("", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    # The style sheets of the admin. In production a web server would stand in front and serve them.
    path("static/<path:path>", serve, {"insecure": True}),
]
