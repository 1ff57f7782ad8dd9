"""What users rely on is what surface.json says: a change of it is seen, and meant."""

import json

from tests.golden.surface import PLACE, surface, text


def test_the_public_surface() -> None:
    found = surface()
    kept = PLACE.read_text(encoding="utf-8")
    assert json.loads(text(found)) == json.loads(kept), "`make golden` writes it anew; name the change in CHANGELOG.md"
    assert text(found) == kept
