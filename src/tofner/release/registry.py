"""Published models in Kubeflow's model registry (Hub), where one is configured.

A registry holds names and addresses for people and for serving; the store holds the models and says which is the
latest. So a registry that does not answer costs a note and no run: `tofner models register` does it later.
"""

import os
import warnings
from collections.abc import Mapping
from typing import Any

from tofner.errors import BadSettings, PassingFault, Problem

ADDRESS = "TOFNER_MODEL_REGISTRY"  # variable with the registry's address, for example http://model-registry:8080
AUTHOR = "tofner"


def register(address: str, model: Mapping[str, Any], run: str = "") -> bool:
    """Register a published version under its name; whether it was not there yet.

    Args:
        address: of the registry's REST service, with http:// or https://.
        model: name, version, uri, f1 (0 to 1), encoder; promoted and gate where a gate has decided.
        run: the pipeline run that published it.

    Raises:
        BadSettings: it is no address.
        PassingFault: the registry does not answer, or refuses.
    """
    if not address.startswith(("http://", "https://")):
        raise BadSettings(Problem(ADDRESS, repr(address), "an address with http:// or https://"))
    from model_registry import ModelRegistry

    told = {key: model[key] for key in ("f1", "encoder", "promoted", "gate") if model.get(key) not in (None, "")}
    told |= {"run": run} if run else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that there is no token, which a registry may not ask for
        try:
            registry = ModelRegistry(address.rstrip("/"), author=AUTHOR)
            known = registry.get_registered_model(model["name"])
            if known is not None and registry.get_model_version(model["name"], model["version"]) is not None:
                return False
            registry.register_model(
                model["name"],
                model["uri"],
                model_format_name="onnx",
                model_format_version="1",
                version=model["version"],
                metadata=told,
            )
        except Exception as error:  # its client lets through what aiohttp, pydantic and the server raise
            cause = " ".join(str(error).split())[:300] or type(error).__name__
            raise PassingFault(f"{address}: {model['name']} {model['version']} was not registered: {cause}") from error
    return True


def register_if_configured(model: Mapping[str, Any], run: str = "") -> str:
    """What a run does after it has published: a line for its log, empty where no registry is configured."""
    address = os.environ.get(ADDRESS, "")
    if not address:
        return ""
    try:
        return f"registry: {'registered' if register(address, model, run) else 'registered already'} at {address}"
    except (PassingFault, BadSettings, ImportError) as error:
        return f"note: {error}; tofner models register does it again"
