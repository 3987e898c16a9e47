"""The end of a program that runs `panda-edge` with each of `commands`, lists of arguments, until one fails. What comes
before it may hide modules."""

EACH_COMMAND = """
from panda_edge.commands.app import main
for command in commands:
    sys.argv = ["panda-edge", *command]
    try:
        main()
    except SystemExit as exit:
        if exit.code:
            sys.exit(f"{command} ended with {exit.code}")
"""
