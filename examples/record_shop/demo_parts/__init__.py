"""What demo.py is made of: a database for the occasion, two servers, the calls, and the report."""
