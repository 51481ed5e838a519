"""Who asks at a door over HTTP: by a token, or by the word of a proxy that the site trusts."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address

from pydantic import ValidationError

from osprey_executor.access._people import People
from osprey_executor.access._table import system_person
from osprey_executor.access._throttle import Throttle
from osprey_executor.audit import Trail
from osprey_executor.config import AccessConfig, ProxyConfig
from osprey_executor.errors import NotIdentifiedError
from osprey_executor.models import Person, PersonRecord

_HOW = "show who you are: Authorization: Bearer TOKEN (`osprey-executor users add NAME` gives one)"


class Identity:
    """Tells from a request who asks; whoever shows nothing is nobody.

    Args:
        people: of the site.
        config: who else is let in, and how often wrong tokens are looked at.
        trail: where refused sign-ins are noted.
        own_token: of who started this process, kept nowhere; None: there is none.
        clock: in seconds, and never back.
    """

    def __init__(
        self,
        people: People,
        config: AccessConfig,
        trail: Trail,
        *,
        own_token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._people = people
        self._proxy = config.proxy
        self._trail = trail
        self._own_token = own_token
        self._throttle = Throttle(config.wrong_tokens, clock)

    def of(self, headers: Iterable[tuple[str, str]], peer: str | None) -> Person:
        """Return who asks.

        Args:
            headers: of the request, each as often as it was sent.
            peer: address from which it came over the socket, whatever headers say; None: there is none.

        Raises:
            NotIdentifiedError: nobody knows.
            StorageError: the list of people cannot be read.
        """
        sent, address = _by_name(headers), _plain(peer)
        self._demand_any(sent)
        counted = self._counted(sent, address)
        self._throttle.demand(counted)
        try:
            return self._found(sent, address)
        except NotIdentifiedError as error:
            self._throttle.wrong(counted)
            self._trail.note("sign-in refused", peer=address, why=str(error))
            raise

    def again(self, headers: Iterable[tuple[str, str]], peer: str | None) -> Person:
        """Return who asks, as `of` does, by a request that was let in before: what is wrong now is not held against it.

        Raises:
            NotIdentifiedError: nobody knows any more.
            StorageError: the list of people cannot be read.
        """
        sent = _by_name(headers)
        self._demand_any(sent)
        return self._found(sent, _plain(peer))

    def still(self, token: str) -> Person:
        """Return whose token that is now, of a session that was opened with it. It is not slowed down by wrong ones.

        Raises:
            NotIdentifiedError: nobody's any more.
            StorageError: the list of people cannot be read.
        """
        return self._by_token([token])

    def _demand_any(self, sent: dict[str, list[str]]) -> None:
        if not _tokens(sent) and not self._told(sent):
            raise NotIdentifiedError(_HOW)

    def _counted(self, sent: dict[str, list[str]], address: str) -> str:
        """Return with what a request counts if it is wrong: all of an address; behind the proxy, of one name, so that
        somebody without a role does not lock out everybody whom it vouches for.
        """
        told, proxy = self._told(sent), self._proxy
        if _tokens(sent) or not told or proxy is None or address not in proxy.addresses:
            return address
        known = _shows_secret(sent, proxy) and not _is_anybody(proxy, address)
        return f"{address} for {told[0][:64]}" if known else address

    def _found(self, sent: dict[str, list[str]], address: str) -> Person:
        tokens, told = _tokens(sent), self._told(sent)
        if tokens and told:
            raise NotIdentifiedError("a token and a header of the proxy say who you are: send one of them")
        return self._by_token(tokens) if tokens else self._by_proxy(sent, told, address)

    def _by_token(self, tokens: list[str]) -> Person:
        if len(tokens) > 1:
            raise NotIdentifiedError("Authorization stands there more than once: send one token")
        own, token = self._own_token, tokens[0]
        if own is not None and hmac.compare_digest(token.encode("utf-8", "surrogatepass"), own.encode()):
            return system_person()
        return self._people.identify(token)

    def _told(self, sent: dict[str, list[str]]) -> list[str]:
        """Return what is said in the header of the proxy; what one says that is spelled nearly so counts twice."""
        if self._proxy is None:
            return []
        wanted = self._proxy.header.lower()
        found = [value for name, values in sent.items() if name.replace("_", "-") == wanted for value in values]
        odd = any(name != wanted and name.replace("_", "-") == wanted for name in sent)
        return [*found, *found] if odd else found

    def _by_proxy(self, sent: dict[str, list[str]], told: list[str], address: str) -> Person:
        proxy = self._proxy
        assert proxy is not None, "only a header of the proxy leads here"
        if address not in proxy.addresses:
            raise NotIdentifiedError(
                f"{proxy.header} comes from {address or 'an unknown address'}, which is not the proxy's: leave it out"
            )
        if len(told) != 1:
            raise NotIdentifiedError(f"{proxy.header} stands there more than once, or is spelled in two ways")
        if not _shows_secret(sent, proxy):
            raise NotIdentifiedError(f"{proxy.secret_header} is not the secret of the proxy (access.proxy.secret)")
        return self._known(told[0], proxy, address)

    def _known(self, name: str, proxy: ProxyConfig, address: str) -> Person:
        known = {one.name: one.roles for one in self._people.all()}
        roles = known.get(name) or frozenset(proxy.roles.get(name, ()))
        try:
            record = PersonRecord(name=name, roles=roles)
        except ValidationError:
            raise NotIdentifiedError(f"{proxy.header} holds what cannot be a name") from None
        if not roles:
            raise NotIdentifiedError(
                f"{name} has no role here: `osprey-executor users add {name} --role ROLE`, or access.proxy.roles"
            )
        return Person(name=record.name, roles=record.roles, proof="host" if _is_anybody(proxy, address) else "proxy")


def _is_anybody(proxy: ProxyConfig, address: str) -> bool:
    """Tell whether any program of this host could speak as that proxy."""
    return proxy.secret is None and ip_address(address).is_loopback


def _shows_secret(sent: dict[str, list[str]], proxy: ProxyConfig) -> bool:
    if proxy.secret is None:
        return True
    given, wanted = sent.get(proxy.secret_header.lower(), []), proxy.secret.get_secret_value()
    return len(given) == 1 and hmac.compare_digest(given[0].encode("utf-8", "surrogatepass"), wanted.encode())


def _by_name(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    sent: dict[str, list[str]] = {}
    for name, value in headers:
        sent.setdefault(name.lower(), []).append(value)
    return sent


def _tokens(sent: dict[str, list[str]]) -> list[str]:
    """Return the tokens that a request shows; passwords and whatever else a proxy lets through are none."""
    parts = [value.partition(" ") for value in sent.get("authorization", [])]
    return [token.strip() for scheme, _, token in parts if scheme.lower() == "bearer" and token.strip()]


def _plain(peer: str | None) -> str:
    """Return an address as configurations write it."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
