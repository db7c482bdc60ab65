"""What patients and sites are called in messages: as people named them, else as the device names itself."""

from collections.abc import Mapping

MAX_NAMES = 10_000  # of either kind; a stranger who invents devices must not fill the memory


class KnownNames:
    """Names by "site/device" or "site"; `shown` is kept up to date for whoever holds it."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}  # by the devices
        self._given: dict[str, str] = {}  # by people
        self._shown: dict[str, str] = {}

    @property
    def shown(self) -> Mapping[str, str]:
        """The name to use of each that has one."""
        return self._shown

    def tell(self, device: str, name: str | None) -> None:
        """What a device calls itself; None: nothing any more."""
        self._keep(self._told, device, name)

    def give(self, scope: str, name: str | None) -> None:
        """What people call it; None: nothing any more."""
        self._keep(self._given, scope, name)

    def _keep(self, names: dict[str, str], scope: str, name: str | None) -> None:
        if name is None:
            names.pop(scope, None)
        elif scope in names or len(names) < MAX_NAMES:
            names[scope] = name
        shown = self._given.get(scope) or self._told.get(scope)
        if shown is None:
            self._shown.pop(scope, None)
        else:
            self._shown[scope] = shown
