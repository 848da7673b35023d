"""A queue in a table, and workers that take jobs from it: `python worker.py [--jobs 20] [--workers 4]`.

A worker locks the first job that nobody else has locked (SELECT … FOR UPDATE SKIP LOCKED), does it, and marks it done,
in one transaction. If it is killed, its transaction is rolled back, and the job is another's: none is lost.

The database is SQLite, where transactions take turns instead of skipping locks; `WORKER_DATABASE` may have another one,
as JSON: '{"ENGINE": "django.db.backends.postgresql", "NAME": "shop", …}'.
"""

import argparse
import asyncio
import json
import os

import django
from django.conf import settings

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "jobs.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30},
}

settings.configure(
    DATABASES={"default": json.loads(os.environ.get("WORKER_DATABASE") or "null") or SQLITE},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.db import connection, models
from django.utils.timezone import now

from vinyl import VinylManager, transaction


class Job(models.Model):
    text = models.CharField(max_length=50)
    result = models.CharField(max_length=50, blank=True)
    done_by = models.CharField(max_length=20, blank=True)
    done_at = models.DateTimeField(null=True, db_index=True)

    vinyl = VinylManager()

    class Meta:
        app_label = "worker"


async def take_a_job(name):
    """Do one job, if there is one that nobody has; tell whether there was."""
    async with transaction.atomic():
        waiting = Job.vinyl.select_for_update(skip_locked=True).filter(done_at=None)
        job = await waiting.order_by("id").first()
        if job is None:
            return False
        result = await work_on(job.text)
        await job.update(result=result, done_by=name, done_at=now())
    print(f"{job.text}: {result}, {name}")
    return True


async def work_on(text):
    """Do what takes a while, and is no query."""
    await asyncio.sleep(0.01)
    return text[::-1]


async def worker(name):
    while await take_a_job(name):
        pass


async def main(jobs, workers):
    await Job.vinyl.bulk_create([Job.vinyl(text=f"job {number}") for number in range(jobs)])
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(worker(f"worker {number}"))
    print("done:", await Job.vinyl.exclude(done_at=None).count())


def make_table():
    with connection.schema_editor() as editor:
        if Job._meta.db_table in connection.introspection.table_names():
            editor.delete_model(Job)
        editor.create_model(Job)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    make_table()
    connection.close()
    asyncio.run(main(options.jobs, options.workers))
