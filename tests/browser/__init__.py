"""Tests in a browser: `make test-browser`. They are not among the others, since not every machine has one."""
