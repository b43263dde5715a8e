"""Text that compiled code writes: shortest numbers, lines of them."""
