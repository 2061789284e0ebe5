"""Why a customer scores high, in sentences that may be said."""
