"""The synthetic world: who lives there, what moves them, what happens."""
