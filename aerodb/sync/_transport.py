# GENERATED from aerodb_async_src/_transport.py by scripts/generate.py [7d367f21277e]: do not edit
"""The one loop over HTTP: authorise, gate, send, decode, retry.

Every operation of every service is a `Call` carried out here. What to do next is decided by
`_core`; waiting is done by the shim; this joins the two.
"""

from __future__ import annotations

from typing import Any, TypeVar

from aerodb._core.answer import answered, failed, placed
from aerodb._core.errors import Exchange, client_error, error_from_response, error_from_transport
from aerodb._core.headers import ClientHeaders, override
from aerodb._core.health import IDEMPOTENCY_KEYS, HealthStatus, health_call
from aerodb._core.http import (
    AnyCall,
    Call,
    HeaderList,
    Prepared,
    RawResponse,
    Request,
    Retry,
    TransportError,
)
from aerodb._core.operation import Telemetry
from aerodb._core.options import ClientOptions
from aerodb._core.retry import (
    GiveUp,
    RetryBudget,
    Wait,
    answered_retry,
    decide,
    effective_retry,
)
from aerodb._core.url import BaseUrl, redirect_target, url_problem
from aerodb._io.on_threads import (
    ByteStream,
    HttpClient,
    jitter,
    monotonic,
    new_id,
    pause,
    wall_clock,
)
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta

from ._authorising import asks_renewal, authorise, renew
from ._flight import Flight, beginning
from ._observing import Observed, observers_of
from ._session import SessionKeeper

T = TypeVar("T")

MAX_REDIRECTS = 3  # wire-contract S2
Outcome = RawResponse | ByteStream | TransportError
_NOT_REPEATABLE = GiveUp("not_repeatable")
_HANDSHAKE: AnyCall = Call("GET", "/realtime", lambda answer: AeroDBResponse())


class Transport:
    """Carries out calls over one pool of connections, as one identity."""

    __slots__ = ("_base", "_budget", "_headers", "_http", "_keys_honoured", "_observers",
                 "_options", "_view_closed", "described", "session")  # fmt: skip

    def __init__(
        self,
        base: BaseUrl,
        headers: ClientHeaders,
        options: ClientOptions,
        http: HttpClient,
        *,
        session: SessionKeeper | None = None,
        budget: RetryBudget | None = None,
        observers: tuple[Telemetry, ...] | None = None,
    ) -> None:
        self._base = base
        self._headers = headers
        self._options = options
        self._http = http
        self._budget = RetryBudget(options.retry_budget) if budget is None else budget
        self._keys_honoured = options.idempotency_keys
        self._observers = observers_of(options) if observers is None else observers
        self._view_closed: bool | None = None  # None: this one owns the connections
        self.described: dict[str, Any] = {}  # by schema; what one caller may see, so no view's
        self.session = SessionKeeper() if session is None else session

    def view(
        self,
        *,
        headers: ClientHeaders | None = None,
        options: ClientOptions | None = None,
        session: SessionKeeper | None = None,
    ) -> Transport:
        """The same connections and retry budget, as somebody else or with other settings."""
        made = Transport(
            self._base,
            self._headers if headers is None else headers,
            self._options if options is None else options,
            self._http,
            session=self.session if session is None else session,
            budget=self._budget,
            observers=self._observers,
        )
        if made._keys_honoured is None:
            made._keys_honoured = self._keys_honoured
        made._view_closed = False
        return made

    @property
    def base(self) -> BaseUrl:
        return self._base

    @property
    def options(self) -> ClientOptions:
        return self._options

    @property
    def is_view(self) -> bool:
        """Whether the connections belong to another one."""
        return self._view_closed is not None

    @property
    def max_url_bytes(self) -> int:
        return self._options.max_url_bytes

    def socket_headers(self, token: str | None) -> HeaderList:
        """The headers of a WebSocket's handshake (wire-contract §4.4)."""
        return self._headers.for_call(_HANDSHAKE, access_token=token, request_id=new_id())

    def secrets(self, token: str | None = None) -> tuple[str, ...]:
        """What must show in no error."""
        return (*self._headers.secrets(token), *self.session.secrets())

    def execute(self, prepared: Prepared[T]) -> AeroDBResponse[T]:
        """Carry out a call; an answer that needs none comes back as it is."""
        if isinstance(prepared, AeroDBResponse):
            return prepared
        return self._carry_out(Flight(prepared, self._options.timeout), stream=False)

    def stream(self, prepared: Prepared[Any]) -> AeroDBResponse[ByteStream]:
        """Carry out a call up to the response's head; the caller reads and closes the body."""
        if isinstance(prepared, AeroDBResponse):
            return prepared
        return self._carry_out(Flight(prepared, self._options.timeout), stream=True)

    def _carry_out(self, flight: Flight, *, stream: bool) -> AeroDBResponse[Any]:
        """Carry out a call, before the eyes of whoever observes."""
        if not self._observers:
            return self._read(self._fly(flight, stream=stream), flight)
        secrets = (*self.secrets(), *flight.call.secrets)
        with Observed(self._observers, flight, self._base.origin, secrets) as observed:
            response = self._read(self._fly(flight, stream=stream), flight)
            observed.ended(response)
        return response

    def _read(
        self, final: RawResponse | ByteStream | AeroDBResponse[Any], flight: Flight
    ) -> AeroDBResponse[Any]:
        if isinstance(final, AeroDBResponse):
            return final
        read = flight.call.decode(final) if isinstance(final, RawResponse) else None
        return self._answered(AeroDBResponse(final) if read is None else read, flight, final)

    def _answered(
        self, decoded: AeroDBResponse[T], flight: Flight, answer: RawResponse | ByteStream
    ) -> AeroDBResponse[T]:
        if decoded.error is not None:
            exchange = flight.exchange(self._base, self._headers, self.session)
            error = placed(
                decoded.error, exchange, answer.status, changed=decoded.meta.affected != 0
            )
            decoded = AeroDBResponse(decoded.data, error, decoded.count, decoded.meta)
        return answered(
            decoded,
            answer.status,
            answer.raw_headers,
            attempts=flight.attempts,
            elapsed=monotonic() - flight.started,
            request_id=flight.request_id,
        )

    def exchange_of(self, call: Prepared[Any], meta: ResponseMeta) -> Exchange:
        """What an error says of a call whose answer is still being read."""
        if isinstance(call, AeroDBResponse):
            return Exchange("", "")
        timeout = self._options.timeout if call.timeout is None else call.timeout
        return Exchange(
            call.method,
            self._base.url(call.path),
            call.retry,
            meta.request_id,
            meta.attempts,
            timeout,
            secrets=(*self._headers.secrets(), *call.secrets, *self.session.secrets()),
        )

    def _fly(
        self, flight: Flight, *, stream: bool
    ) -> RawResponse | ByteStream | AeroDBResponse[Any]:
        """Attempt until there is an answer, or nothing more may be tried."""
        refusal = self._refusal(flight.call)
        if refusal is not None:
            return self._ended(refusal, flight)
        while True:
            refusal = authorise(self, flight)
            if refusal is not None:
                return self._ended(refusal, flight)
            flight.attempts += 1
            outcome = self._attempt(flight, stream=stream)
            if not isinstance(outcome, TransportError) and self._is_answer(flight.call, outcome):
                self._budget.succeeded()
                return outcome
            assert not isinstance(outcome, ByteStream)  # a stream that is no answer was read
            error = self._read_failure(flight, outcome)
            if isinstance(outcome, RawResponse) and asks_renewal(flight, outcome, error):
                if renew(self, flight) and not flight.spent:
                    continue
                if flight.ended is not None:
                    return self._ended(flight.ended, flight, outcome.status)
            if flight.spent:
                return self._given_up(error, outcome, flight)
            verdict = self._verdict(flight, error, outcome)
            if verdict == _NOT_REPEATABLE and self._key_protects(flight):
                flight.retry = effective_retry(flight.retry, keyed=True)
                verdict = self._verdict(flight, error, outcome)
            if not isinstance(verdict, Wait):
                return self._given_up(error, outcome, flight)
            flight.doubtful = flight.doubtful or error.maybe_applied
            pause(verdict.seconds)

    def _given_up(
        self, error: AeroDBError, outcome: RawResponse | TransportError, flight: Flight
    ) -> AeroDBResponse[Any]:
        heads = () if isinstance(outcome, TransportError) else outcome.raw_headers
        return failed(error, heads, monotonic() - flight.started)

    def _ended(
        self, problem: AeroDBError, flight: Flight, status: int | None = None
    ) -> AeroDBResponse[Any]:
        """The answer of a call that may not go out, or not again."""
        error = placed(problem, flight.exchange(self._base, self._headers, self.session), status)
        return failed(error, (), monotonic() - flight.started)

    def _verdict(
        self, flight: Flight, error: AeroDBError, outcome: RawResponse | TransportError
    ) -> Wait | GiveUp:
        retry, sent = flight.retry, True
        if isinstance(outcome, TransportError):
            sent = outcome.sent
        else:
            retry = answered_retry(retry, outcome.raw_headers)
        return decide(
            flight.attempts,
            retry,
            error,
            sent=sent,
            remaining_seconds=flight.deadline - monotonic(),
            budget=self._budget,
            jitter=jitter(),
            retries=self._options.retries,
        )

    def _key_protects(self, flight: Flight) -> bool:
        """Whether the call may be repeated although it may have been carried out (§1.8).

        What the server says of itself is asked only now, and once: most calls never get here.
        """
        keyed = flight.call.keyed is not None and flight.retry is Retry.UNSENT
        if not keyed or flight.attempts > self._options.retries:
            return False
        left = flight.deadline - monotonic()
        if self._keys_honoured is None and left > 0:
            answer = self.execute(health_call(timeout=left))
            self.learn(answer.data)
        return self._keys_honoured is True

    def learn(self, status: HealthStatus | None) -> None:
        """Take note of what a server can do, unless the options say it."""
        if status is not None and self._options.idempotency_keys is None:
            self._keys_honoured = status.supports(IDEMPOTENCY_KEYS)

    def _attempt(self, flight: Flight, *, stream: bool) -> Outcome:
        """Send once, following what may be followed (wire-contract S2)."""
        call, target = flight.call, self._base.target(flight.call.path)
        hops = 0
        while True:
            request = self._request(flight, target)
            try:
                outcome = self._send(request, flight, stream=stream)
            except TransportError as failure:
                return failure
            further = self._redirected(call, outcome, target) if hops < MAX_REDIRECTS else None
            if further is None:
                return outcome
            target = further
            hops += 1

    def _request(self, flight: Flight, target: str) -> Request:
        """The request. Headers are named in no frame that waits: tools that show the local
        variables of a traceback would show the key (reliability S1)."""
        call = flight.call
        headers = self._headers.for_call(
            call,
            access_token=flight.token,
            request_id=flight.request_id,
            credentials=call.identity != "nobody",
        )
        if not call.coded:
            headers.append((b"Accept-Encoding", b"identity"))
        if flight.key is not None:
            headers.append((b"Idempotency-Key", flight.key))
        if flight.trace:
            headers = override(headers, flight.trace)
        return Request(call.method, self._base.origin, target, headers, call.body)

    def _redirected(
        self, call: AnyCall, outcome: RawResponse | ByteStream, target: str
    ) -> str | None:
        if not 300 < outcome.status < 400 or not isinstance(outcome, RawResponse):
            return None
        location = outcome.header(b"location")
        return redirect_target(self._base, call.method, outcome.status, target, location)

    def _send(
        self, request: Request, flight: Flight, *, stream: bool
    ) -> RawResponse | ByteStream:
        if not stream:
            return self._http.send(request, flight.end, flight.call.idle)
        answer = self._http.stream(request, flight.end, flight.call.idle)
        if 200 <= answer.status < 300:
            return answer
        return beginning(answer)

    def _is_answer(self, call: AnyCall, response: RawResponse | ByteStream) -> bool:
        return 200 <= response.status < 300 or response.status in call.answers

    def _read_failure(self, flight: Flight, outcome: RawResponse | TransportError) -> AeroDBError:
        exchange = flight.exchange(self._base, self._headers, self.session)
        if isinstance(outcome, TransportError):
            return error_from_transport(outcome, exchange)
        error = error_from_response(
            outcome.status, outcome.raw_headers, outcome.body, exchange, now=wall_clock()
        )
        complete = flight.call.complete_error
        return error if complete is None else complete(error, outcome, exchange.secrets)

    def _refusal(self, call: Call[Any]) -> AeroDBError | None:
        """What would not get through is not sent."""
        if self._view_closed:
            hint = "make a new one from the client that it came from"
            return client_error("CLIENT_CLOSED", "this view of a client is closed", hint=hint)
        problem = url_problem(self._base, call.path, limit=self._options.max_url_bytes)
        if problem is None:
            return None
        return client_error("INVALID_ARGUMENT", problem)

    def close(self) -> None:
        """Close the pool; calls fail with CLIENT_CLOSED from then on. A view has no pool."""
        if self._view_closed is None:
            self.session.close()
            self._http.close()
        else:
            self._view_closed = True
