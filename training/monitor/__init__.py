"""Monitoring: what has drifted, what no longer arrives, and whether the model still keeps its promises."""
