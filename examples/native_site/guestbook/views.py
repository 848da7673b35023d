"""The views: synchronous, some classes and some functions, as in any Django site."""

from django.contrib.auth import get_user_model
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import connection
from django.db.models import Count
from django.http import StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.views.generic import CreateView, ListView

from guestbook.models import Entry

SECONDS = 0.5
PAUSES = {"sqlite": "SELECT pause(%s)", "postgresql": "SELECT pg_sleep(%s)", "mysql": "SELECT SLEEP(%s)"}


class EntryList(ListView):
    """The last entries. Their guests are loaded behind the template's back, which a synchronous view may do."""

    queryset = Entry.objects.all()[:20]


class Sign(LoginRequiredMixin, CreateView):
    """A form for an entry."""

    model = Entry
    fields = ["text"]
    success_url = reverse_lazy("entries")

    def form_valid(self, form):
        form.instance.guest = self.request.user
        return super().form_valid(form)


def report(request):
    """Who has written how much. The database takes its time for it."""
    with connection.cursor() as cursor:
        cursor.execute(PAUSES[connection.vendor], [SECONDS])
    guests = get_user_model().objects.annotate(number=Count("entries")).filter(number__gt=0).order_by("-number")
    return render(request, "guestbook/report.html", {"guests": guests})


def export(request):
    """All entries as text, a line each, sent as the rows are fetched."""
    entries = Entry.objects.select_related("guest").order_by("id")
    lines = (f"{entry.guest}: {entry.text}\n" for entry in entries.iterator(chunk_size=100))
    return StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8")
