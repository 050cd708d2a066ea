"""Numbers that tell one circuit of modular addition from another."""
