"""Takes out of an environment what its image never uses: `slim.py SITE-PACKAGES [without-hub]`, while building.

Each rule says why nothing misses the files; tests/e2e/test_containers.py runs what is left. Licences stay, and so does
everything that Python could import for a setting of tofner. `without-hub` also removes what only a download from the
model hub needs, for the tagger, which reads models from folders and buckets.
"""

import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENDS = ("pxd", "pxi", "pyi", "pyx")  # of Cython's sources and of stubs for type checkers


@dataclass(frozen=True)
class Rule:
    """Glob patterns below site-packages, folders alone where they end in `/`; `keep` are names that stay."""

    why: str
    patterns: tuple[str, ...]
    keep: frozenset[str] = frozenset()


RULES = (
    Rule(
        "tests of libraries",
        (
            *(f"{name}/**/tests" for name in ("networkx", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "sympy")),
            *(f"{name}/tests" for name in ("dill", "fsspec", "mpmath", "multiprocess", "regex", "websocket")),
            "joblib/test",
            "onnx/backend/test",
            "onnx/test",
            "torch/test",
            "torch/lib/lib*_test.so",
            "torch/lib/libbackend_with_compiler.so",
        ),
    ),
    # torch_shm_manager is started where tensors are shared between processes.
    Rule("torch's test programs and its protoc", ("torch/bin/*",), frozenset({"torch_shm_manager"})),
    Rule(
        "what other programs are compiled with: headers, sources, static libraries",
        (
            *("torch/include", "torch/share", "pyarrow/include", "pyarrow/includes", "pyarrow/src"),
            *("numpy/**/*.a", "numpy/_core/include", "numpy/distutils", "numpy/f2py/src"),
            *(f"{name}/**/*.{end}" for name in ("numpy", "pyarrow", "scipy", "sklearn") for end in ENDS),
        ),
    ),
    Rule(
        "Arrow's remote procedure calls and its own S3 client (tofner and datasets read through boto3 and fsspec)",
        ("pyarrow/*flight*", "pyarrow/libarrow_s3.so*", "pyarrow/_s3fs*", "pyarrow/*_cpp_tests*"),
    ),
    # The loader asks for the name with one number, libarrow_python.so.2600.
    Rule(
        "copies that wheels hold in place of links", ("pyarrow/libarrow_python*.so", "pyarrow/libarrow_python*.so.*.*")
    ),
    Rule(
        "the library for C programs; Python's module holds the engine itself", ("onnxruntime/capi/libonnxruntime.so*",)
    ),
    Rule(
        "ONNX Runtime's own exporters and converters",
        tuple(f"onnxruntime/{name}" for name in ("transformers", "tools", "quantization", "datasets", "backend")),
    ),
    Rule("the second backend, for PyPy", ("zstandard/_cffi*", "zstandard/backend_cffi.py")),
    # Identities come from these: roles (sts), single sign-on (sso, sso-oidc) and the console's login (signin).
    Rule(
        "descriptions of AWS services other than S3 and those that give identities",
        ("botocore/data/*/", "boto3/data/*/"),
        frozenset({"s3", "sts", "sso", "sso-oidc", "signin"}),
    ),
    Rule(
        "highlighting of 500 languages on terminals; Python's and plain text stay",
        ("pygments/lexers/*.py",),
        frozenset({"__init__.py", "_mapping.py", "python.py", "special.py"}),
    ),
    Rule("compiled sources of 400 families of models: a run reads one", ("transformers/models/*/__pycache__",)),
    Rule(
        "compiled sources of what is hardly ever loaded: a client of clusters, torch's compiler, highlighting",
        (
            *(f"{name}/**/__pycache__" for name in ("kfp_server_api", "kubernetes", "networkx", "setuptools")),
            *(f"{name}/**/__pycache__" for name in ("numpy/f2py", "pydantic/v1", "pygments")),
            *(f"torch/_inductor/{name}/**/__pycache__" for name in ("codegen", "fx_passes", "kernel")),
        ),
    ),
)

# What `tokenizers` requires for `Tokenizer.from_pretrained`, a download, and nothing else in the tagger does.
HUB = ("filelock", "fsspec", "hf-xet", "httpcore2", "httpx2", "huggingface_hub", "PyYAML", "tqdm", "truststore")


def matching(root: Path, rule: Rule) -> Iterator[Path]:
    for pattern in rule.patterns:
        for path in sorted(root.glob(pattern)):
            if path.name not in rule.keep:
                yield path


def size(path: Path) -> int:
    """Bytes of a file or a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def remove(path: Path) -> int:
    """Remove a file or folder, and a source's compiled file; returns the bytes."""
    if not path.exists():  # below a folder that another pattern took
        return 0
    freed = size(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc") if path.suffix == ".py" else ():
            freed += remove(compiled)
    return freed


def uninstall(root: Path, name: str) -> int:
    """Remove a distribution: its files, and folders that are empty then; returns the bytes."""
    (found,) = importlib.metadata.distributions(name=name, path=[str(root)])
    freed = 0
    for file in found.files or ():
        path = Path(str(found.locate_file(file))).resolve()
        if path.is_file():
            freed += path.stat().st_size
            path.unlink()
            for folder in path.parents:
                if folder == root.resolve() or any(folder.iterdir()):
                    break
                folder.rmdir()
    return freed


def main(arguments: list[str]) -> int:
    root = Path(arguments[0])
    if not root.is_dir():
        print(f"slim.py: {root}: no such folder", file=sys.stderr)
        return 2
    rows = [(sum(remove(path) for path in list(matching(root, rule))), rule.why) for rule in RULES]
    if "without-hub" in arguments[1:]:
        rows.append((sum(uninstall(root, name) for name in HUB), "downloads from the model hub: " + ", ".join(HUB)))
    for freed, why in rows:
        print(f"{freed / 1e6:7.1f} MB  {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
