"""How a bundle is served: to whom, how much at once, how long at most."""

import ipaddress

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

LEAST_TOKEN_CHARS = 16
"""A token that can be guessed protects nothing."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class ServeSettings(BaseModel):
    """How a bundle is served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    """Where to listen. Anything but this machine alone needs a token."""
    port: int = Field(default=8765, ge=0, le=65_535)
    """0 takes a free one, which is told."""
    token: SecretStr | None = None
    """What a client must show as "Authorization: Bearer TOKEN"; None asks for nothing."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    """A longer question is refused (413)."""
    timeout_seconds: float = Field(default=30.0, gt=0)
    """A question that takes longer is given up (504); so is one that is not sent in that time (408)."""
    threads: int = Field(default=64, ge=1)
    """Questions worked on at once. They meet in the encoder, so this bounds how many profiles can be encoded together."""
    max_waiting: int = Field(default=128, ge=0)
    """Questions that may wait beside those; further ones are refused (503) with a word on when to come back."""
    batch_rows: int = Field(default=16, ge=1)
    """Profiles encoded together, more or less; a question that needs more is encoded alone. Ours: on a CPU a profile of 64
    tokens takes 30 ms alone and 20 to 22 among 4, 8 or 24, so that more than a few only have the first ones wait."""
    batch_wait_seconds: float = Field(default=0.002, ge=0)
    """So long the encoder waits for the profiles of other questions in work; for nobody if there are none."""
    watch_seconds: float | None = Field(default=None, gt=0)
    """So often the folder is looked at; a new bundle there takes the old one's place. None: on SIGHUP only."""

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < LEAST_TOKEN_CHARS:
            raise ValueError(f"a token has {LEAST_TOKEN_CHARS} characters at least")
        return token

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def host_names(self) -> frozenset[str] | None:
        """The names a browser may call it by; None: any.

        A page of the web may have its own name lead to this machine (DNS rebinding) and would then read what is
        served without a token; it cannot make the browser send one of these names.
        """
        if self.token is not None or not self.is_loopback:
            return None
        return frozenset({*LOOPBACK_NAMES, self.host})
