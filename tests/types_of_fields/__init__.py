"""Values of every type of field, and the ways of writing and reading them, for tests that compare vinyl with Django."""
