"""The Hugging Face Hub, asked only when a run names an encoder by its Hub id."""

from pathlib import Path

from tofner.errors import BadSettings, PassingFault, Problem
from tofner.model.layout import WEIGHTS

# Weights come as safetensors; pickled ones are never fetched.
WANTED = ["*.json", WEIGHTS, "*.txt", "*.model"]


def current_commit(name: str) -> str:
    """The commit that `owner/model` or `model@revision` stands for now, 40 hex digits.

    Raises:
        BadSettings: the Hub has no such model or revision, or it is closed to this user.
        PassingFault: the Hub cannot be reached, or its client is not installed.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
    except ModuleNotFoundError as error:
        raise PassingFault(
            f"encoder {name}: the Hub cannot be asked without huggingface_hub; install tofner[train], "
            "or give a local folder or s3:// prefix"
        ) from error

    repo, _, revision = name.partition("@")
    try:
        return str(HfApi().model_info(repo, revision=revision or None).sha)
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError, ValueError) as error:
        fix = "use another Hub id, or a local folder or s3:// prefix that holds the encoder"
        raise BadSettings(
            Problem("encoder", f"{name} ({type(error).__name__})", "a model this user can read", fix)
        ) from error
    except Exception as error:
        if not _is_network(error):
            raise
        raise PassingFault(
            f"encoder {name}: the Hub does not answer ({type(error).__name__}); "
            "try again, or give a local folder or s3:// prefix"
        ) from error


def fetch(name: str) -> Path:
    """The files of `owner/model@commit` in the Hub's local cache."""
    from huggingface_hub import snapshot_download

    repo, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=WANTED))
    except Exception as error:
        if not _is_network(error):
            raise
        raise PassingFault(f"encoder {name}: download failed ({type(error).__name__}); try again") from error


def _is_network(error: Exception) -> bool:
    """Whether it comes from the client's HTTP library, which differs between its versions, or from the system."""
    origins = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, OSError) or bool(origins & {"httpx", "httpx2", "requests", "huggingface_hub"})
