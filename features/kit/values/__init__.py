"""Single values as people and programs write them: identifiers in their one form, cells that start no formula."""
