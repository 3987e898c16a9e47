"""The paper's protocol: methods, data sets and comparators, class by class."""
