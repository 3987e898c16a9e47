"""A look at a data set before `fit`: what cannot be read, what is there twice, what is unlike the rest."""
