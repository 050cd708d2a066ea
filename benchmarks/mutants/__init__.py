"""Single changes of the code that the tests should notice."""
