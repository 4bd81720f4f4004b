"""Pages that are made from the code say what the code says."""

import pytest

from tests.generated import PAGES
from tests.processes import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_the_code_makes_it(name):
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "it is out of date: make docs"
