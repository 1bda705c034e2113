"""What the template shows: messages are cut and made safe."""

import pytest

from traitline.analysis import report_content
from traitline.errors import InputError


def test_messages_are_safe_and_only_the_first_ones_are_shown():
    turns = [{"role": "user", "content": "a\x07"}] * 9
    assert report_content.messages(turns) == [("user", r"a\x07")] * report_content.TURNS
    with pytest.raises(InputError, match="row without messages"):
        report_content.messages(["text"])
