"""Measures what importing vinyl, idle connections, waiting tasks and loaded rows take, and compares it with bounds."""
