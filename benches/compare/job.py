"""The job every peer does: what callers send, and what the origin has to receive."""

TOKEN = "t" * 1500
API_KEY = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
ORGANIZATION = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
SANDBOX = "dev-2"

LOOKUP = (
    "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=janedoe%40example.com"
    "&entityIdNS=email&mergePolicyId=0bf16e61-90e9-4204-b8fa-ad250360957b"
)
LARGE = "/data/core/ups/large"
SMALL_ANSWER = '{"entity":{"name":"' + "x" * 1002 + '"}}'
LARGE_BYTES = 1024 * 1024

# What the origin must receive exactly once, whatever the caller sent.
OWNED = {
    "authorization": f"Bearer {TOKEN}",
    "x-api-key": API_KEY,
    "x-gw-ims-org-id": ORGANIZATION,
    "x-sandbox-name": SANDBOX,
}
# What a caller sends, with credentials of its own that must not get through.
CALLER = {
    "User-Agent": "profile-service/1.4",
    "Accept": "application/json",
    "X-Request-Id": "4f7c8a52-9c1e-4b7a-8f55-2f6f3a1c9d10",
    "Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    **{name: "forged" for name in OWNED},
}


def variables():
    """Returns what templates call these."""
    return {
        "API_KEY": API_KEY,
        "ORGANIZATION": ORGANIZATION,
        "SANDBOX": SANDBOX,
        "SMALL": SMALL_ANSWER,
        "TOKEN": TOKEN,
    }
