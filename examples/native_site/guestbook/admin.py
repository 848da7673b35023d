"""The admin."""

from django.contrib import admin

from guestbook.models import Entry


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    """Entries, with their guests."""

    list_display = ["text", "guest", "written"]
    search_fields = ["text"]
