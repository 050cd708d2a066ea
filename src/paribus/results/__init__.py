"""What an experiment hands over: tables, figures as data, aggregates, diagnostics, and the result that holds them."""
