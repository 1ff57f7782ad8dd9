"""Container images that the components run in.

The names in the components have no tag: `pipelines.cluster` pins each task to `registry/name:revision` when the
pipeline is compiled. KFP's cache key holds the image name and not its content: a moving tag would serve stale results.
"""

TRAINER = "tofner-trainer"  # torch, transformers, kfp: every stage of Algorithm 1
TAGGER = "tofner-tagger"  # onnxruntime, no torch, no kfp: batch tagging


def pinned(name: str, revision: str, registry: str = "") -> str:
    """Full image name. `revision` is a tag, or a digest when it begins with `sha256:`.

    >>> pinned("tofner-trainer", "1f3c2d4", "registry.example/team")
    'registry.example/team/tofner-trainer:1f3c2d4'
    """
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}{name}{'@' if revision.startswith('sha256:') else ':'}{revision}"
