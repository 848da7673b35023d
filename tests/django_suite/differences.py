"""What differs by nature between vinyl and Django without it: names of tests, which may have wildcards, and why.

Through the bridge, a test that fails and passes without vinyl is a failure, unless it is in DIFFERENCES. COMPARISONS is
the same for querysets whose results differ, by the test that evaluates them. An entry without any difference left is a
failure as well, so that the lists stay true.
"""

import django

DIFFERENCES = {
    "backends.base.test_base.ConnectionHealthChecksTests.test_*_enabled": (
        "Django's wrapper checks its connection once per request, vinyl's pool each time it lends one"
    ),
    "backends.postgresql.tests.Tests.test_*pool*": "OPTIONS['pool'] sizes vinyl's own pool; psycopg's is not used",
    "backends.tests.ThreadTests.test_pass_connection_between_threads": (
        "another thread cannot wait on the event loop that a connection belongs to, whether or not sharing is allowed"
    ),
}

# As DIFFERENCES, where vinyl's handler answers requests.
_AT_ONCE = "a request that waits for nothing is answered before anybody looks whether its client is still there"
_ADAPTED = "the chain is synchronous: what is adapted, and logged, is the other half of the middleware"
SITES = {
    "asgi.tests.ASGITest.test_disconnect_with_body": _AT_ONCE,
    "asgi.tests.ASGITest.test_delayed_disconnect_with_body": "its view calls time.sleep(), and all wait with it",
    "asgi.tests.ASGITest.test_concurrent_async_uses_multiple_thread_pools": "there is one thread, where it expects two",
    "middleware_exceptions.tests.MiddlewareNotUsedTests.test_async_and_sync_middleware_chain_async_call": _ADAPTED,
    "middleware_exceptions.tests.MiddlewareSyncAsyncTests.test_sync_middleware_async": _ADAPTED,
}
if django.VERSION >= (6,):
    SITES["asgi.tests.ASGITest.test_assert_in_listen_for_disconnect"] = _AT_ONCE
else:
    SITES["auth_tests.test_remote_user.*async*"] = (
        "the synchronous half of Django 5.2's RemoteUserMiddleware looks for another header than the asynchronous one"
    )

COMPARISONS = {
    "async.tests.DatabaseConnectionTest.test_get_async_connection": (
        "a synchronous query in a coroutine is refused by vinyl's ModeError, a SynchronousOnlyOperation that says more"
    ),
    "basic.tests.ModelFromDbTests.test_new_signature_receives_fetch_mode_peers": (
        "vinyl refuses FETCH_PEERS, which queries behind an attribute; the comparison gets round the refusal"
    ),
}

_WARNED = "the test expects the warning of select_related() where it calls it, not where the calls are repeated"
# As COMPARISONS, where querysets are built anew by the same calls, and planned.
PLANS = {
    **COMPARISONS,
    "aggregation_regress.tests.AggregationTests.test_annotate_select_related": _WARNED,
    "defer.tests.TestDefer2.test_defer_proxy": _WARNED,
    "select_related.tests.SelectRelatedTests.test_list_with_select_related": _WARNED,
    "annotations.tests.NonAggregateAnnotationTestCase.test_custom_transform_annotation": (
        "the calls are repeated when the test has unregistered the lookup that they name"
    ),
    "lookup.tests.LookupTests.test_values_list_flat_no_fields": (
        "the test expects the warning of values_list() where it calls it, not where the calls are repeated"
    ),
    "queries.tests.Queries6Tests.test_parallel_iterators": "another test takes the ordering away from the model, by "
    "which the plan was learned; models do not change while a program runs",
}
