"""`python -m panda_train`, which torchrun needs."""

from panda_train.commands.app import main

main()
