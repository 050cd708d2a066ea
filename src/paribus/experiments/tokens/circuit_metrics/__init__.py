"""C2: numbers that tell one circuit of modular addition from another."""
