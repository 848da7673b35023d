"""A bank under load and under fire; see `__main__.py`. It is an application of Django's, for its models."""
