"""The units in which a source may deliver lengths, volumes and money."""

from __future__ import annotations

UNITS: dict[str, tuple[str, int]] = {
    "s": ("s", 1),
    "min": ("s", 60),
    "h": ("s", 3600),
    "KB": ("KB", 1),
    "MB": ("KB", 1024),
    "GB": ("KB", 1024 * 1024),
    "TB": ("KB", 1024 * 1024 * 1024),
    "kbit/s": ("kbit/s", 1),
    "Mbit/s": ("kbit/s", 1000),
}
"""Units a source may deliver: the contract's unit and how many of it one such unit is (a billed minute is not here:
it is a rounded tariff unit, not a length of time)."""

MONEY_UNITS = ("major", "cent", "minor")
"""Money may come in the currency's main unit (yuan, the default), in hundredths (fen), or in the landed minor unit."""
