"""The SCRAM-SHA-256 verifier of a password, as PostgreSQL stores it.

A statement with a verifier in it may appear in the server's log: a password in it would be readable there.
"""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096
SALT_BYTES = 16


def verifier(password: str, salt: bytes | None = None) -> str:
    """The verifier of an ASCII password in PostgreSQL's form (RFC 5803); `salt` is random unless given."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${ITERATIONS}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
