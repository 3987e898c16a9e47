"""What the rooms share: data sets, conditions, rows on disk, tables, plots."""
