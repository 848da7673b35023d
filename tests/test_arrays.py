"""Arrays, which only PostgreSQL has."""

import pytest
from django.db import connection, models
from django.db.models import F, Value
from django.test.utils import isolate_apps

import vinyl
from tests import settings

pytestmark = [pytest.mark.usefixtures("table"), pytest.mark.engine("postgresql")]

if settings.ENGINE == "postgresql":
    from django.contrib.postgres.aggregates import ArrayAgg
    from django.contrib.postgres.fields import ArrayField

    with isolate_apps("tests.kinds"):

        class Word(models.Model):
            letters = ArrayField(models.CharField(max_length=1))
            grid = ArrayField(ArrayField(models.IntegerField()), null=True)

            vinyl = vinyl.VinylManager()

            class Meta:
                app_label = "kinds"


@pytest.fixture
def table():
    with connection.schema_editor() as editor:
        editor.create_model(Word)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Word)


async def test_arrays_are_written_and_read():
    word = await Word.vinyl(letters=["a", "b"], grid=[[1, 2], [3, 4]]).insert()
    plain = await vinyl.run(lambda: Word.objects.get())
    assert (plain.letters, plain.grid) == (["a", "b"], [[1, 2], [3, 4]])
    await word.update(letters=[])
    plain.grid = None
    await vinyl.run(lambda: plain.save(update_fields=["grid"]))
    assert await word.refresh() is word
    assert (word.letters, word.grid) == ([], None)


async def test_arrays_are_queried():
    await Word.vinyl.bulk_create([Word.vinyl(letters=list(text)) for text in ("ab", "bc", "cde")])
    assert await Word.vinyl.filter(letters__contains=["b"]).count() == 2
    assert await Word.vinyl.filter(letters__len=3, letters__0="c").values_list("letters", flat=True) == [
        ["c", "d", "e"]
    ]
    assert await Word.vinyl.aggregate(all=ArrayAgg("letters__0", order_by="pk")) == {"all": ["a", "b", "c"]}
    words = Word.vinyl.annotate(first=F("letters__0")).filter(first=Value("a"))
    assert [word.first for word in await words] == ["a"]
