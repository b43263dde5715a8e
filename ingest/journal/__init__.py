"""The journal: what is in it is durable, ordered within a partition, and takes effect once."""
