"""Our models beside other learners."""
