"""vinyl.connection: SQL by hand, in both modes."""

import pytest

import vinyl

pytestmark = pytest.mark.usefixtures("db")


async def test_execute_gives_rows_as_tuples_or_the_row_count():
    assert await vinyl.connection.execute("SELECT 1, 'a'") == [(1, "a")]
    assert await vinyl.connection.execute("SELECT id FROM library_tag") == []
    assert await vinyl.connection.execute("INSERT INTO library_tag (label) VALUES (%s), (%s)", ["x", "y"]) == 2
    assert await vinyl.connection.execute("UPDATE library_tag SET label = 'z' WHERE label = %s", ["x"]) == 1
