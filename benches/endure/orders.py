"""The faults that the soak orders at the simulated Adobe."""

import time

PLATFORM = {"where": "platform"}
UPS = {"where": "/data/core/ups"}

# How many requests a fault hits at most, so that one that is rarely reached does not hold up the others for long.
FEW, MANY = (1, 3), (5, 30)
# New tokens that are refused sooner cause ever longer pauses, in which refusals are all that callers get.
BETWEEN_REVOCATIONS = 35

TOO_MANY = {"error_code": "429050", "message": "Too many requests"}
TOO_MANY_AT_THE_SERVICE = [{"message": "Too many requests", "retryAfterMs": "500", "statusCode": "429"}]
UNREADABLE = {"error_code": "503020", "message": "Could not read the profile"}

# How many requests each may hit at least and at most, and what it is.
FAULTS = {
    "throttled, with a hint": (FEW, {**PLATFORM, "status": 429, "retry_after": 1, "body": TOO_MANY}),
    "throttled, without one": (MANY, {**PLATFORM, "status": 429, "body": TOO_MANY}),
    "throttled by the service": (MANY, {**PLATFORM, "status": 429, "body": TOO_MANY_AT_THE_SERVICE}),
    "a transient 403": (MANY, {**PLATFORM, "status": 403, "body": UNREADABLE}),
    "a broken service": (MANY, {**PLATFORM, "status": 500, "body": {"message": "internal"}}),
    "a broken load balancer": (MANY, {**PLATFORM, "html": True}),
    "resets": ((1, 12), {**PLATFORM, "wire": "reset"}),
    "stalls": (FEW, {**UPS, "wire": "stall"}),
    "truncations": (MANY, {**UPS, "wire": "truncate"}),
    "delays": (MANY, {**PLATFORM, "delay_ms": 800}),
    "delays beyond the route's time": (FEW, {**PLATFORM, "delay_ms": 8000}),
    "IMS fails": (FEW, {"where": "ims", "status": 500, "body": "no"}),
    "IMS throttles": (FEW, {"where": "ims", "status": 429, "retry_after": 1}),
    "IMS is slow": (FEW, {"where": "ims", "delay_ms": 2000}),
    "IMS shows a page": (FEW, {"where": "ims", "html": True}),
}


class Orders:
    """Orders one fault after the other."""

    def __init__(self, simulator, draw):
        self.simulator, self.draw, self.revoked = simulator, draw, time.monotonic()

    def give(self):
        """Orders a fault, revokes all tokens, or, from time to time, clears what is left of earlier orders."""
        chance = self.draw.random()
        if chance < 0.15:
            self.revoke()
        elif chance < 0.3:
            self.simulator.clear()
        else:
            times, fault = FAULTS[self.draw.choice(list(FAULTS))]
            self.simulator.order(times=self.draw.randint(*times), **fault)
            # What ails the token service shows only when it is called.
            if fault["where"] == "ims":
                self.revoke()

    def revoke(self):
        """Makes all tokens invalid, unless that has just been done."""
        if time.monotonic() - self.revoked > BETWEEN_REVOCATIONS:
            self.revoked = time.monotonic()
            self.simulator.revoke()
