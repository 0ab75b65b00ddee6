"""Everything that touches the world, once."""
