"""The project that the documentation's examples are run in: an application `shop` with a few rows in its tables."""
