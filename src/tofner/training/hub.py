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
        PassingFault: the Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    repo, _, revision = name.partition("@")
    try:
        return str(HfApi().model_info(repo, revision=revision or None).sha)
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError, ValueError) as error:
        fix = "use another Hub id, or a local folder or s3:// prefix that holds the encoder"
        raise BadSettings(
            Problem("encoder", f"{name} ({type(error).__name__})", "a model this user can read", fix)
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise PassingFault(
            f"encoder {name}: the Hub does not answer ({type(error).__name__}); "
            "try again, or give a local folder or s3:// prefix"
        ) from error


def fetch(name: str) -> Path:
    """The files of `owner/model@commit` in the Hub's local cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    repo, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=WANTED))
    except (HfHubHTTPError, OSError) as error:
        raise PassingFault(f"encoder {name}: download failed ({type(error).__name__}); try again") from error
