"""`python -m napari_stem_gan.cli` is the command napari-stem-gan."""

import sys

from napari_stem_gan.cli.main import main

sys.exit(main())
