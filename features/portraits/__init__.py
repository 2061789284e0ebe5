"""One row per customer and as-of date: features, classes, facts."""
