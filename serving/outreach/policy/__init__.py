"""Whom nobody may contact, and why."""
