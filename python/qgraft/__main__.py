"""`python -m qgraft`: the program."""

from ._program import main

main()
