"""From scores to decisions: calibration, p-values, anomalous regions."""
