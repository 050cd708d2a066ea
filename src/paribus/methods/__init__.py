"""How a question is put to any network: a design in, arrays and sums over clusters out. No tables, no subject."""
