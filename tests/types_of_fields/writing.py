"""The ways of writing a column: each gives rows with a label the values, and tells what came of it."""

from typing import Any

from tests.types_of_fields.described import is_error, is_error_of_database, result_of
from tests.types_of_fields.hands import ByDjango, alone, called, given, inserted
from tests.types_of_fields.reading import as_the_server_shows_it, with_label


async def write(hand: Any, name: str, values: list[Any]) -> dict[str, Any]:
    """Write the values in all ways; give the described results or errors of each, and what is in the rows then.

    One by one all values are written. In bulk they are written at once, but for those that were refused before, of
    which one that came to the database is tried alone.
    """
    results = {"insert": await insert(hand, f"{name}, insert", name, values)}
    results["update"] = await update(hand, f"{name}, update", name, values)
    pairs = list(zip(values, results["insert"], strict=True))
    taken = [value for value, result in pairs if not is_error(result)]
    refused = [value for value, result in pairs if is_error_of_database(result)]
    for way in (bulk_create, bulk_update):
        label = f"{name}, {way.__name__}"
        batches = (taken, refused[:1])
        results[way.__name__] = [await result_of(way(hand, label, name, batch)) for batch in batches if batch]
    return {"results": results, "stored": await alone(_stored, ByDjango(hand.model), name, results)}


async def _stored(django: ByDjango, name: str, ways: Any) -> dict[str, Any]:
    """Give what is in the rows that were written, and delete them."""
    stored = {}
    for way in ways:
        label = f"{name}, {way}"
        stored[way] = await as_the_server_shows_it(django, label, name)
        with_label(django, label).delete()
    return stored


async def insert(hand: Any, label: str, name: str, values: list[Any]) -> list[Any]:
    async def insert_one(value: Any) -> None:
        await inserted(hand, label=label, **{name: value})

    return [await result_of(insert_one(value)) for value in values]


async def update(hand: Any, label: str, name: str, values: list[Any]) -> list[Any]:
    pairs = zip(await blank(hand, label, len(values)), values, strict=True)
    return [await result_of(called(hand.update, instance, {name: value})) for instance, value in pairs]


async def bulk_create(hand: Any, label: str, name: str, values: list[Any]) -> None:
    await given(hand.objects.bulk_create([hand.new(label=label, **{name: value}) for value in values]))


async def bulk_update(hand: Any, label: str, name: str, values: list[Any]) -> Any:
    instances = await blank(hand, label, len(values))
    for instance, value in zip(instances, values, strict=True):
        setattr(instance, name, value)
    return await given(hand.objects.bulk_update(instances, [name]))


async def blank(hand: Any, label: str, count: int) -> list[Any]:
    """Give new rows with the label, read again: not every engine tells the keys of what was created in bulk."""
    await given(hand.objects.bulk_create([hand.new(label=label) for _ in range(count)]))
    return list(await given(with_label(hand, label).reverse()[:count]))
