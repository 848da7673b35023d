"""Whether two results are alike: the same values of the same types, and instances with the same loaded.

Instances are alike if they have the same fields, annotations and attributes loaded, the same related objects and
prefetched lists at hand, and the same state. If one result is vinyl's, its instances must be of vinyl classes. Each
pair of objects is looked at once, so relations may lead back to where they came from.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import Model, QuerySet

# Where two results differ, and both values there.
Difference = tuple[str, Any, Any]


class Comparison:
    """One comparison of a result of Django's with one of vinyl's, or with another one of Django's."""

    def __init__(self, *, with_vinyl: bool) -> None:
        self._with_vinyl = with_vinyl
        self._seen: set[tuple[int, int]] = set()

    def first(self, expected: Any, found: Any) -> Difference | None:
        """Return the first difference, or None if the results are alike."""
        return next(self._of("result", expected, found), None)

    def _of(self, path: str, expected: Any, found: Any) -> Iterator[Difference]:
        pair = id(expected), id(found)
        if expected is found or pair in self._seen:
            return
        if isinstance(expected, Model) and isinstance(found, Model):
            self._seen.add(pair)
            yield from self._of_instances(path, expected, found)
        elif isinstance(expected, QuerySet) and isinstance(found, QuerySet):
            yield from self._of_querysets(path, expected, found)
        elif type(expected) is not type(found) and not _are_rows(expected, found):
            yield f"type of {path}", type(expected), type(found)
        elif isinstance(expected, dict):
            yield from self._of_dicts(path, expected, found)
        elif isinstance(expected, list | tuple):
            yield from self._of_sequences(path, expected, found)
        elif _compares_by_identity(expected) and hasattr(expected, "__dict__"):
            self._seen.add(pair)
            yield from self._of_dicts(path, vars(expected), vars(found))
        # What is not equal to itself is NaN.
        elif not (expected == found or (expected != expected and found != found)):
            yield path, expected, found

    def _of_instances(self, path: str, expected: Model, found: Model) -> Iterator[Difference]:
        if not self._is_class(found, type(expected), found._meta.model, "is_vinyl_class"):
            yield f"class of {path}", type(expected), type(found)
        one, other = expected._state, found._state
        yield from self._of(f"{path}._state", (one.db, one.adding), (other.db, other.adding))
        yield from self._of_dicts(path, _loaded(expected), _loaded(found))
        yield from self._of_dicts(f"{path}._state.fields_cache", one.fields_cache, other.fields_cache)

    def _of_querysets(self, path: str, expected: Any, found: Any) -> Iterator[Difference]:
        if not self._is_class(found, type(expected), getattr(found, "django_class", None), "django_class"):
            yield f"class of {path}", type(expected), type(found)
        for name in ("_result_cache", "_prefetch_done", "_fields", "_db"):
            yield from self._of(f"{path}.{name}", getattr(expected, name), getattr(found, name))

    def _is_class(self, found: Any, expected: type, django_class: Any, mark: str) -> bool:
        """Whether the object is of the class of Django's that is expected, or of the class that vinyl has for it."""
        if self._with_vinyl:
            return hasattr(found, mark) and django_class is expected
        return type(found) is expected

    def _of_dicts(self, path: str, expected: Any, found: Any) -> Iterator[Difference]:
        if expected.keys() != found.keys():
            yield f"keys of {path}", list(expected), list(found)
        for key in expected:
            if key in found:
                yield from self._of(f"{path}[{key!r}]", expected[key], found[key])

    def _of_sequences(self, path: str, expected: Any, found: Any) -> Iterator[Difference]:
        if len(expected) != len(found):
            yield f"length of {path}", expected, found
        for index, pair in enumerate(zip(expected, found, strict=False)):
            yield from self._of(f"{path}[{index}]", *pair)


def _compares_by_identity(value: object) -> bool:
    by_identity: Any = object.__eq__
    return type(value).__eq__ is by_identity


def _loaded(instance: Model) -> dict[str, Any]:
    return {name: value for name, value in vars(instance).items() if name != "_state"}


def _are_rows(expected: Any, found: Any) -> bool:
    """Whether both are named tuples of the same fields; Django makes a class of them for each queryset."""
    return (
        isinstance(expected, tuple)
        and isinstance(found, tuple)
        and type(expected).__name__ == type(found).__name__
        and getattr(expected, "_fields", ()) == getattr(found, "_fields", None)
    )


def shown(value: Any) -> str:
    """Return a value in words, without calling what a model defines."""
    if isinstance(value, Model):
        return f"<{type(value).__module__}.{type(value).__name__} {_loaded(value)!r:.200}>"
    if isinstance(value, QuerySet):
        return f"<{type(value).__name__} {shown(value._result_cache)}>"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {len(value)}: {', '.join(map(shown, value[:5]))}"
    try:
        return repr(value)[:300]
    except Exception as error:
        return f"a {type(value).__name__} whose repr() fails: {error!r}"
