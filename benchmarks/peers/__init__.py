"""Beside other methods and projects, on equal pictures, features and masks."""
