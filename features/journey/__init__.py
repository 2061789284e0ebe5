"""The main job and the month: steps in order."""
