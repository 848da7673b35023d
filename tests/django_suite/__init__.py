"""Django's own tests, run on vinyl: `python -m tests.django_suite` says how."""
