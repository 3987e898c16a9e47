"""Verdicts to a machine: a PLC or a relay that moves a reject gate. Whatever is in doubt is never OK."""
