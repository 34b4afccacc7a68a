"""`python -m aerodb.cli`."""

import sys

from aerodb.cli import main

sys.exit(main())
