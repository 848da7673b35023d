# By hand: what is not awaited in either mode is that of vinyl.transaction.
from collections.abc import Callable
from typing import Any

from vinyl.transaction import Atomic as Atomic
from vinyl.transaction import Transaction as Transaction
from vinyl.transaction import TransactionManagementError as TransactionManagementError
from vinyl.transaction import atomic as atomic
from vinyl.transaction import get_rollback as get_rollback
from vinyl.transaction import set_rollback as set_rollback

def on_commit(func: Callable[[], Any], using: str | None = None, robust: bool = False) -> None: ...
def savepoint(using: str | None = None) -> str | None: ...
def savepoint_commit(sid: str, using: str | None = None) -> None: ...
def savepoint_rollback(sid: str, using: str | None = None) -> None: ...
