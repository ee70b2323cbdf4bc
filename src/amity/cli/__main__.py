"""`python -m amity.cli` is `amity`."""

from amity.cli.main import main

main()
