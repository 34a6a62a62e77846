"""Where the real test files lie: `../shared/data` beside the checkout. A test that needs them is skipped, with the reason, where they are not."""
from pathlib import Path

import pytest

DATA = (Path(__file__).parents[1] / "../shared/data").resolve()
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test files (../shared/data beside the checkout) are not here")
