"""How a page is served: where, for whom, and what a recording may cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from emodask.errors import UsageError
from emodask.page.hosts import is_host_name

USER = "emodask"
"""The name that people give with the password."""

PASSWORD_VARIABLE = "EMODASK_PASSWORD"
"""The environment's variable that holds the password."""

_LOOPBACK = ("localhost", "::1")


@dataclass(frozen=True)
class PageSettings:
    """What the server of a page goes by.

    Attributes
    ----------
    host : str
        The address that it listens on.
    port : int
    password : str or None
        Asked of everybody, with the name ``emodask``.
    max_upload : int
        Bytes of a recording.
    max_seconds : float
        How long a recording may be.
    seconds : float
        How long judging it may take.
    waiting : int
        Recordings that wait while others are judged.
    allow_hosts : tuple of str
        Names by which people may ask besides those of loopback; given any, by no others.

    Raises
    ------
    UsageError
    """

    host: str = "127.0.0.1"
    port: int = 7860
    password: str | None = field(default=None, repr=False)
    max_upload: int = 200 << 20
    max_seconds: float = 120.0
    seconds: float = 120.0
    waiting: int = 8
    allow_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port {self.port}: 0 to 65535 would be right")
        if self.password == "":
            raise UsageError("an empty password protects nothing; leave it out, or choose one")
        for name, least in (("max_upload", 1), ("waiting", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} = {getattr(self, name)}: at least {least} is needed")
        for host in self.allow_hosts:
            if not is_host_name(host):
                raise UsageError(
                    f"--allow-host {host}: a name without http:// and without a port would be "
                    "right, such as emotions.example.org"
                )
        for name in ("max_seconds", "seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} = {getattr(self, name)}: seconds above 0 would be right")

    @property
    def local(self) -> bool:
        """Whether nobody but this machine can reach it.

        Examples
        --------
        >>> PageSettings().local, PageSettings(host="0.0.0.0").local
        (True, False)
        """
        return self.host in _LOOPBACK or self.host.startswith("127.")
