"""Run the command by `python -m traitline.cli`."""

from traitline.cli.program import main

main()
