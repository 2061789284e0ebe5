"""Which home this is, what belongs to it, and what follows its folder when it moves."""
