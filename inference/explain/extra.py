"""What explanations need beyond the other services, and whether it is installed here."""

from importlib.util import find_spec

PACKAGES = ("captum", "onnx", "torch")  # the optional extra `explain`
REMEDY = "pip install 'wristlead[explain]' brings it"


def missing_packages() -> tuple[str, ...]:
    """Names of the packages that explanations need and that are not installed; looks, and loads nothing."""
    return tuple(name for name in PACKAGES if find_spec(name) is None)
