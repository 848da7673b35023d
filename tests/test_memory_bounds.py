"""How `make memory` compares with its bounds; it measures nothing here."""

import pytest

from benchmarks.memory import bounds

KEPT = {bound.name: min(bound.most, 1.0) for bound in bounds.ALL}


def test_what_is_within_its_bound_is_not_complained_of():
    assert bounds.exceeded(KEPT) == []
    assert "exceeded" not in "\n".join(bounds.table(KEPT))


@pytest.mark.parametrize("name", ["connection_resident", "tasks", "fetch_ratio"])
def test_what_exceeds_its_bound_is_named_in_the_table_and_by_itself(name):
    measured = KEPT | {name: 1_000.0}
    [exceeded] = bounds.exceeded(measured)
    assert exceeded.name == name
    [line] = [line for line in bounds.table(measured) if line.endswith("exceeded")]
    assert line.startswith(exceeded.title)
