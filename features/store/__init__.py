"""The feature store: Feast offline and online, behind one thin wrapper."""
