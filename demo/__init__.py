"""Notebooks that show what asyncmagic does; `python -m demo` runs them."""
