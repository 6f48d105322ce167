"""The bodies of the enrolment API: strict JSON of bounded size."""

from typing import Annotated, Any

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

MOST_VOUCHERS = 20  # in one call: their requests fill LONGEST
LONGEST = 16_384  # bytes: two requests of 4 KiB at most, and little more

Token = Annotated[str, StringConstraints(max_length=128)]
NodeId = Annotated[str, StringConstraints(pattern=r"\A[0-9a-z]{10}\z")]
Name = Annotated[str, StringConstraints(pattern=r"\A[0-9a-z-]{1,40}\z")]
AreaCode = Annotated[str, StringConstraints(pattern=r"\A([0-9]{2,12})?\z")]
Digest = Annotated[str, StringConstraints(pattern=r"\A([0-9a-f]{64})?\z")]
Serial = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{40}\z")]
Pem = Annotated[str, StringConstraints(max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Look(_Strict):
    """POST /enrol/look. Digests are SHA-256 in hex of what the board's NVS holds, or empty."""

    token: Token
    node: NodeId
    type: Name
    certificate: Digest = ""
    oscore: Digest = ""
    hmac: Digest = ""


class Claim(_Strict):
    """POST /enrol/claim."""

    token: Token
    node: NodeId
    type: Name
    csr: Pem
    spare_csr: Pem
    area: AreaCode = ""
    policy: Annotated[str, StringConstraints(max_length=16)] = ""


class Confirm(_Strict):
    """POST /enrol/confirm."""

    token: Token
    node: NodeId
    serial: Serial


class Vouchers(_Strict):
    """POST /enrol/vouchers."""

    token: Token
    type: Name
    area: AreaCode = ""
    days: Annotated[int, Field(ge=1, le=365)]
    csrs: Annotated[list[Pem], Field(min_length=1, max_length=MOST_VOUCHERS)]


class Used(_Strict):
    """POST /enrol/voucher-used."""

    token: Token
    voucher: Annotated[str, StringConstraints(pattern=r"\Av[0-9a-z]{10}\z")]
    node: NodeId


async def read(request: Request) -> bytes:
    """The body; 413 as soon as it is longer than LONGEST."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise HTTPException(413, f"a body of more than {LONGEST} bytes")
    return body


def parse(kind: type[Any], raw: bytes) -> Any:
    """An object of `kind`; 422 names the field, and never repeats what was sent."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as e:
        first = e.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise HTTPException(422, f"{where[:60]}: {first['type']}") from None
