"""Run the command line as `python -m scripted_models`."""

import sys

from scripted_models.cli import main

sys.exit(main())
