"""The gateway's configuration in these stories, as the members of a YAML file."""

from servers import ORGANIZATION, SECRET, free_port

SANDBOX = "dev"


def settings(origin_port, *routes, port=None, **sections):
    """Returns a configuration with the routes given; sections are merged into its own."""
    origin = f"http://127.0.0.1:{origin_port}"
    made = {
        "listeners": [{"address": f"127.0.0.1:{port or free_port()}"}],
        "admin": {"address": f"127.0.0.1:{free_port()}"},
        "log": {"format": "json", "level": "warn"},
        "ims": {"url": origin},
        "upstream": {"url": origin},
        "credentials": {
            "demo": {"organization": ORGANIZATION, "client_id": "demo-client", "client_secrets": [SECRET]},
        },
        "sandboxes": {SANDBOX: {}},
        "routes": list(routes),
    }
    for name, section in sections.items():
        if isinstance(section, dict):
            made[name] = {**made.get(name, {}), **section}
        else:
            made[name] = section
    return made


def route(name, path, **members):
    """Returns a route to the sandbox all of this happens in."""
    return {"name": name, "match": {"path": path}, "sandbox": SANDBOX, **members}


def lookup(identity):
    """Returns the target of a lookup."""
    return (
        "/data/core/ups/access/entities?schema.name=_xdm.context.profile"
        f"&entityId={identity}&entityIdNS=email"
    )
