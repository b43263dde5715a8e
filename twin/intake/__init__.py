"""What needs memory before estimation: who is who, what came."""
