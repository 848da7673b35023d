"""The operations of the cancellation matrix, each with what has to hold after it was ended at any hop.

`OPERATIONS` is the table; a further operation is one more class. An object is one run, with names of its own, so that
nothing has to be removed between two runs.
"""

from tests.cancellable import connecting, querying
from tests.cancellable.operation import Operation

OPERATIONS: list[type[Operation]] = [
    querying.Get,
    querying.AwaitAQueryset,
    querying.Gather,
    connecting.GatherInATransaction,
    querying.Started,
    querying.Frozen,
    querying.PlannedUpdate,
    querying.LoopOverAQueryset,
    querying.Stream,
    connecting.StreamInATransaction,
    querying.Insert,
    querying.InsertWithParents,
    querying.UpdateWithParents,
    querying.Refresh,
    querying.DeleteWithCascade,
    querying.BulkCreateInBatches,
    querying.GetOrCreate,
    querying.UpdateOrCreate,
    connecting.Atomic,
    connecting.RolledBack,
    connecting.RunOfSynchronousCode,
    connecting.OnCommit,
    connecting.RunAgainAfterAConflict,
    connecting.TaskGroup,
    connecting.Hold,
    connecting.Cursor,
    querying.SetRelated,
    querying.AddRelated,
    connecting.WaitForAConnection,
    connecting.WaitForAPlace,
]
