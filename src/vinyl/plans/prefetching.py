"""prefetch_related() of plain relations: one statement and one loop for each, instead of a manager for each instance.

It goes level by level. What a level needs is known before anything of it is loaded, so its statements are sent in one
round trip where the database's driver can. Any relation that is not plain (see plain_relations.py), a Prefetch object,
or an instance that has some of it already, is Django's affair.

All of it is synchronous code, to be carried out in the bridge or in the sync mode.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.db.models import Model, prefetch_related_objects
from django.db.models.constants import LOOKUP_SEP

from vinyl.conf import uses_plans, verifies_plans
from vinyl.plans.learning import Params, Plan
from vinyl.plans.natively import execute_all_here
from vinyl.plans.plain_relations import Relation, relation_of

Tree = dict[str, Any]


def prefetch(instances: list[Any], lookups: Sequence[Any]) -> None:
    """Load relations of the instances, as Django's prefetch_related_objects()."""
    is_plain = uses_plans() and not verifies_plans() and _are_of_one_model(instances)
    if not is_plain or not all(type(lookup) is str for lookup in lookups):
        prefetch_related_objects(instances, *lookups)
        return
    tree: Tree = {}
    for lookup in lookups:
        below = tree
        for name in lookup.split(LOOKUP_SEP):
            below = below.setdefault(name, {})
    level = [_Branch(instances, tree)]
    while level:
        level = [below for together in _in_groups(level) for below in _follow(instances, together)]


def _are_of_one_model(instances: list[Any]) -> bool:
    # They are no models where values_list() stands after prefetch_related().
    return len(set(map(type, instances))) == 1 and isinstance(instances[0], Model)


class _Branch:
    """Instances, and the relations that are to be loaded of them; `path` leads to them from those at the top."""

    __slots__ = ("are_new", "instances", "path", "tree")

    def __init__(self, instances: list[Any], tree: Tree, path: str = "", *, are_new: bool = False) -> None:
        self.instances = instances
        self.tree = tree
        self.path = path
        # Whether they were loaded a moment ago, so that no other branch has one of them.
        self.are_new = are_new


def _in_groups(level: list[_Branch]) -> Iterator[list[_Branch]]:
    """Yield the branches whose relations can be loaded at the same time: none of them gives another its objects."""
    yield [branch for branch in level if branch.are_new]
    yield from ([branch] for branch in level if not branch.are_new)


class _Step:
    """One relation of a branch: the related objects if all instances have theirs, the keys if none has."""

    __slots__ = ("branch", "had", "keys", "name", "related", "relation")

    def __init__(self, branch: _Branch, name: str) -> None:
        self.branch = branch
        self.name = name
        self.relation: Relation | None = relation_of(branch.instances[0], name)
        self.related: list[Any] | None = None
        self.keys: list[int] | None = None
        if self.relation is not None:
            self.related = self.relation.related_of(branch.instances)
            self.had = self.related is not None
            self.keys = None if self.had else self.relation.keys_of(branch.instances)


def _follow(top: list[Any], branches: list[_Branch]) -> list[_Branch]:
    """Load the relations of these branches, and return the branches that begin there."""
    steps = [_Step(branch, name) for branch in branches for name in branch.tree]
    _load(steps)
    following: list[_Branch] = []
    for step in steps:
        branch, below = step.branch, step.branch.tree[step.name]
        if step.related is None:
            # From the top, where the user's lookups begin: Django finds what is loaded already.
            prefetch_related_objects(top, *(branch.path + lookup for lookup in _lookups(step.name, below)))
        elif below and step.related:
            path = f"{branch.path}{step.name}{LOOKUP_SEP}"
            following.append(_Branch(step.related, below, path, are_new=not step.had))
    return following


def _load(steps: list[_Step]) -> None:
    """Load what has keys: from each database all of it together."""
    by_alias: dict[str, list[tuple[_Step, Relation, list[tuple[Plan, Params]]]]] = {}
    for step in steps:
        if step.relation is not None and step.keys is not None:
            statements = step.relation.statements(step.keys)
            by_alias.setdefault(step.relation.alias, []).append((step, step.relation, statements))
    for alias, asked in by_alias.items():
        results = execute_all_here(alias, [statement for _, _, statements in asked for statement in statements])
        for step, relation, statements in asked:
            step.related = relation.give(step.branch.instances, islice(results, len(statements)))


def _lookups(name: str, below: Tree) -> list[str]:
    rest = [f"{name}{LOOKUP_SEP}{lookup}" for each, tree in below.items() for lookup in _lookups(each, tree)]
    return rest or [name]
