"""An application of Celery's, whose workers are in the sync mode."""

import os

import django
from celery import Celery
from celery.signals import worker_process_init

import vinyl
from vinyl import transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.packages.settings")
django.setup()

folder = os.environ.get("VINYL_TEST_BROKER", "")
app = Celery("tests.packages.tasks", broker="filesystem://", backend=f"file://{folder}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{folder}/queue",
    "data_folder_out": f"{folder}/queue",
    "control_folder": f"{folder}/control",
}


@worker_process_init.connect
def use_the_sync_mode(**kwargs):
    vinyl.set_async(False)


@app.task
def sell(title):
    from tests.library.models import Book

    with transaction.atomic():
        book = Book.vinyl.select_for_update().get(title=title)
        book.update(stock=book.stock - 1)
    return book.stock


@vinyl.portable
async def number_of_books():
    from tests.library.models import Book

    return await Book.vinyl.count()


@app.task
def count():
    return number_of_books()
