"""Loading: from the rows of a driver to the results of a queryset.

    rows            iterables in place of Django's, each with a loader for its columns
    hydration       loaders: loops that are generated for the columns of a query
    converters      what a compiler's converters do, as expressions in such a loop
    short_cuts      what Django's own converters do, without calling them
    states          the `_state` of instances, made when it is first asked for

The package knows neither plans nor connections.
"""
