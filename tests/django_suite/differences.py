"""What differs by nature between vinyl and Django without it: names of tests, which may have wildcards, and why.

Through the bridge, a test that fails and passes without vinyl is a failure, unless it is in DIFFERENCES. COMPARISONS is
the same for querysets whose results differ, by the test that evaluates them. An entry without any difference left is a
failure as well, so that the lists stay true.
"""

DIFFERENCES = {
    "backends.base.test_base.ConnectionHealthChecksTests.test_*_enabled": (
        "Django's wrapper checks its connection once per request, vinyl's pool each time it lends one"
    ),
    "backends.postgresql.tests.Tests.test_*pool*": "OPTIONS['pool'] sizes vinyl's own pool; psycopg's is not used",
    "backends.tests.ThreadTests.test_pass_connection_between_threads": (
        "another thread cannot wait on the event loop that a connection belongs to, whether or not sharing is allowed"
    ),
}

COMPARISONS = {
    "basic.tests.ModelFromDbTests.test_new_signature_receives_fetch_mode_peers": (
        "vinyl refuses FETCH_PEERS, which queries behind an attribute; the comparison gets round the refusal"
    ),
}
