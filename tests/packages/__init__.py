"""vinyl with packages around Django, each as docs/packages.md has it: `make test-packages`."""
