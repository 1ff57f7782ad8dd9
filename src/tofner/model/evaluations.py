"""What is known of a published version by now: its folder never changes, and a later test set tells more than its card.

    STORE/evaluations/NAME/VERSION/KEY/          card and reports of one evaluation
    STORE/evaluations/NAME/VERSION/latest.json   {"evaluation": KEY}

Only what differs from the version's own reports is kept here; earlier ones stay.
"""

from pathlib import Path

from tofner import storage
from tofner.errors import BadInput, Problem
from tofner.model.layout import EVALUATIONS, LATEST, MODELS, REPORTS


def keep(root: str, version: str, folder: Path, key: str) -> str:
    """Keep an evaluation and make it the latest of its version; returns its address.

    Raises:
        BadInput: another publisher was faster, or storage refuses.
        PassingFault: storage did not answer in time.
    """
    place = _place(root, version)
    uri = storage.join(place, key)
    storage.store_folder(folder, uri)
    pointer = storage.join(place, LATEST)
    found = storage.read_pointer(pointer)
    if found is None or found[0].get("evaluation") != key:
        try:
            storage.move_pointer(pointer, {"evaluation": key}, found[1] if found else None)
        except storage.PointerMoved as error:
            fix = "run the same again if this one should be the latest"
            raise BadInput(Problem(pointer, "another evaluation, published meanwhile", "its own", fix)) from error
    return uri


def reports_of(root: str, version: str) -> str:
    """Where the reports of a version's latest evaluation are: those beside it, else its own.

    Raises as `keep`.
    """
    own = storage.join(root, version, REPORTS)
    if root.rstrip("/").split("/")[-2:-1] != [MODELS]:
        return own  # a copy outside of any store
    found = storage.read_pointer(storage.join(_place(root, version), LATEST))
    return storage.join(_place(root, version), str(found[0].get("evaluation", "")), REPORTS) if found else own


def _place(root: str, version: str) -> str:
    store, _, name = root.rstrip("/").rsplit("/", 2)
    return storage.join(store, EVALUATIONS, name, version)
