"""What tests ask to be kept of normal images."""

from __future__ import annotations

from typing import Any

from panda_edge.banks.settings import CHOICES, BankSettings, bank_settings, own_options


def settings_for(bank: str = "exact", **options: Any) -> BankSettings:
    """As `bank_settings`, for tests that give all banks the same options: those of other kinds are left out."""
    others = {name for other in CHOICES for name in own_options(other)} - {*own_options(bank)}
    return bank_settings(bank, **{name: value for name, value in options.items() if name not in others})
