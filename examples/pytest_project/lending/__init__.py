"""A library that lends its books."""
