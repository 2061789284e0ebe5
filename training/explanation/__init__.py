"""Why a model scores as it does, in pictures and pages."""
