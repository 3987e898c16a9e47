"""`python -m panda_train`, which torchrun needs."""

from panda_train.cli import main

main()
