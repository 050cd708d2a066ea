"""One verb of the program in each file: SUMMARY, USAGE and run(arguments)."""
