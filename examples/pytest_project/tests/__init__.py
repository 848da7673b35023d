"""The tests of the library, one file for each way of writing them."""
