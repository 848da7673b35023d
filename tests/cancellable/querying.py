"""Operations of querysets, instances and related managers."""

import datetime

from django.db.models import F

import vinyl
from tests.cancellable.operation import TITLES, TODAY, OfAnAuthor, Operation, others_have_ended
from tests.library.models import Author, BigBranch, Book, Branch, Place, Tag
from tests.plans import ENOUGH
from vinyl import Param

TAGS = vinyl.manager(Tag)
BEFORE = datetime.date(1999, 1, 1)


class Get(OfAnAuthor):
    async def run(self):
        self.found = await Author.vinyl.get(pk=self.author.pk)

    async def check(self, *, finished):
        assert hasattr(self, "found") == finished


class AwaitAQueryset(OfAnAuthor):
    async def run(self):
        self.queryset = Author.vinyl.filter(pk=self.author.pk).prefetch_related("books")
        await self.queryset

    async def check(self, *, finished):
        (author,) = await self.queryset
        assert [book.title for book in author.books.all()] == TITLES


class Planned(OfAnAuthor):
    """One whose queries were made often enough to be planned."""

    async def prepare(self):
        await super().prepare()
        for _ in range(ENOUGH):
            await self.query()

    async def query(self):
        raise NotImplementedError

    async def run(self):
        self.found = await self.query()


class Gather(Planned):
    """Of two queries: in one round trip where the driver can, else each in a task."""

    def querysets(self):
        return (
            Author.vinyl.filter(name=self.name),
            Book.vinyl.filter(author__name=self.name).order_by("title").values_list("title", flat=True),
        )

    async def query(self):
        return await vinyl.gather(*self.querysets())

    async def check(self, *, finished):
        await others_have_ended()
        assert not finished or self.found == [[self.author], TITLES]


class Started(Planned):
    """Of which one goes on by itself until it is awaited, or is cancelled by who awaits it."""

    async def query(self):
        started = Author.vinyl.filter(name=self.name).start()
        try:
            books = await Book.vinyl.filter(author__name=self.name).order_by("title")
            return [book.title for book in books], await started
        finally:
            started.cancel()

    async def check(self, *, finished):
        await others_have_ended()
        assert not finished or self.found == (TITLES, [self.author])


class Frozen(Planned):
    books_of = Book.vinyl.filter(author__name=Param("name")).order_by("title").freeze()

    async def query(self):
        return [book.title for book in await self.books_of(name=self.name)], await self.books_of.count(name=self.name)

    async def check(self, *, finished):
        assert not finished or self.found == (TITLES, len(TITLES))


class PlannedUpdate(Planned):
    async def query(self, born=BEFORE):
        return await Author.vinyl.filter(name=self.name).update(born=born)

    async def run(self):
        self.found = await self.query(TODAY)

    async def check(self, *, finished):
        assert (await Author.vinyl.get(name=self.name)).born in ((TODAY,) if finished else (BEFORE, TODAY))
        assert not finished or self.found == 1


class LoopOverAQueryset(OfAnAuthor):
    async def run(self):
        self.titles = [book.title async for book in self.author.books.order_by("title")]

    async def check(self, *, finished):
        assert not finished or self.titles == TITLES


class Stream(OfAnAuthor):
    def __init__(self):
        super().__init__()
        self.titles = []

    async def run(self):
        async for book in self.author.books.order_by("title").iterator(chunk_size=2):
            self.titles.append(book.title)

    async def check(self, *, finished):
        assert self.titles == (TITLES if finished else TITLES[: len(self.titles)])


class Insert(Operation):
    async def run(self):
        self.author = Author.vinyl(name=self.name)
        await self.author.insert()

    async def check(self, *, finished):
        assert (self.author.pk is not None) == (not self.author._state.adding) == finished
        assert await self.authors() >= finished


class InsertWithParents(Operation):
    async def run(self):
        self.branch = BigBranch.vinyl(name=self.name, seats=1)
        await self.branch.insert()

    async def check(self, *, finished):
        assert (self.branch.pk is not None) == finished
        assert await Place.vinyl.filter(name=self.name).count() == await BigBranch.vinyl.filter(name=self.name).count()
        assert await Place.vinyl.count() == await Branch.vinyl.count() == await BigBranch.vinyl.count()
        assert await Place.vinyl.filter(name=self.name).count() >= finished


class UpdateWithParents(Operation):
    async def prepare(self):
        self.branch = await BigBranch.vinyl(name=self.name, seats=1).insert()

    async def run(self):
        await self.branch.update(name=f"{self.name}+", seats=F("seats") + 1, floors=3)

    async def check(self, *, finished):
        before, after = (self.name, 1, 2), (f"{self.name}+", 2, 3)
        assert (self.branch.name, self.branch.seats, self.branch.floors) == (after if finished else before)
        values = await BigBranch.vinyl.values_list("name", "seats", "floors").get(pk=self.branch.pk)
        assert values == after or (values == before and not finished)


class Refresh(OfAnAuthor):
    async def fill(self):
        await super().fill()
        await Author.vinyl.filter(pk=self.author.pk).update(born=TODAY)

    async def run(self):
        await self.author.refresh()

    async def check(self, *, finished):
        assert self.author.born == (TODAY if finished else None)


class DeleteWithCascade(OfAnAuthor):
    async def run(self):
        await self.author.delete()

    async def check(self, *, finished):
        assert (self.author.pk is None) == finished
        books = await Book.vinyl.filter(author__name=self.name).count()
        assert books == len(TITLES) * await self.authors()
        assert not (finished and books)


class BulkCreateInBatches(Operation):
    async def run(self):
        await Author.vinyl.bulk_create([Author.vinyl(name=self.name) for _ in range(7)], batch_size=3)

    async def check(self, *, finished):
        assert await self.authors() in ((7,) if finished else (0, 7))


class GetOrCreate(Operation):
    async def run(self):
        await TAGS.get_or_create(label=self.name)

    async def check(self, *, finished):
        assert await TAGS.filter(label=self.name).count() >= finished


class UpdateOrCreate(OfAnAuthor):
    async def run(self):
        await Author.vinyl.update_or_create(name=self.name, defaults={"born": TODAY})

    async def check(self, *, finished):
        author = await Author.vinyl.get(name=self.name)
        assert author.born in ((TODAY,) if finished else (None, TODAY))


class SetRelated(OfAnAuthor):
    """One that is there, one that goes and one that comes."""

    async def fill(self):
        await super().fill()
        self.labels = [f"{number} {self.name}" for number in range(3)]
        self.tags = [await TAGS.create(label=label) for label in self.labels]
        self.book = await self.author.books.first()
        await self.book.tags.add(*self.tags[:2])

    async def run(self):
        await self.book.tags.set(self.tags[1:])

    async def check(self, *, finished):
        labels = await self.book.tags.order_by("label").values_list("label", flat=True)
        assert labels == self.labels[1:] or (labels == self.labels[:2] and not finished)


class AddRelated(SetRelated):
    async def run(self):
        await self.book.tags.add(*self.tags)

    async def check(self, *, finished):
        labels = await self.book.tags.order_by("label").values_list("label", flat=True)
        assert labels == self.labels or (labels == self.labels[:2] and not finished)
