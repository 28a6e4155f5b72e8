"""What must hold of the rendered manifests and a schema cannot say.

A rule is a function from `Rendered` to problems, empty when all is well. Its docstring is its name in the report.
"""

import base64
import ipaddress
import re

import kubernetes_validate
import yaml

# The oldest and the newest that are checked; the sidecar form would do with 1.29.
KUBERNETES_VERSIONS = ("1.30", "1.37")
GATEWAY = "profile-gateway"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# The volume types Pod Security `restricted` allows.
CORE_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
# Keys of the IMS Secret that identify and do not authenticate.
PUBLIC_KEYS = {"organization", "client_id"}


class Rendered:
    """The documents of one example, and the gateway's places in them."""

    def __init__(self, documents):
        self.documents = documents

    def of_kind(self, *kinds):
        return [d for d in self.documents if d["kind"] in kinds]

    def named(self, kind, name):
        return next((d for d in self.of_kind(kind) if d["metadata"]["name"] == name), None)

    def pods(self):
        """The Pod templates, each with its workload's name."""
        for workload in self.of_kind("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield workload["metadata"]["name"], workload["spec"]["template"]

    def gateways(self):
        return [Gateway(self, pod) for _, pod in self.pods() if any(c["name"] == GATEWAY for c in containers(pod["spec"]))]

    def shared(self):
        return [g for g in self.gateways() if not g.is_sidecar]

    def sidecars(self):
        return [g for g in self.gateways() if g.is_sidecar]


class Gateway:
    """A gateway container, its Pod, and the configuration it will read."""

    def __init__(self, rendered, pod):
        self.pod, self.spec = pod, pod["spec"]
        self.is_sidecar = any(c["name"] == GATEWAY for c in self.spec.get("initContainers", []))
        self.container = next(c for c in containers(self.spec) if c["name"] == GATEWAY)
        self.config_path = next(iter(after(self.container.get("args", []), "--config")), "")
        self.config_text = self.file(rendered, self.config_path, "configMap") or ""
        self.config = yaml.safe_load(self.config_text) or {}

    def mount(self, path):
        """The mount that holds `path`, with its volume."""
        for mount in self.container.get("volumeMounts", []):
            if path.startswith(mount["mountPath"].rstrip("/") + "/"):
                return mount, next(v for v in self.spec["volumes"] if v["name"] == mount["name"])
        return None, {}

    def file(self, rendered, path, volume_kind):
        mount, volume = self.mount(path)
        name = {"configMap": "name", "secret": "secretName"}[volume_kind]
        source = rendered.named({"configMap": "ConfigMap", "secret": "Secret"}[volume_kind],
                                volume.get(volume_kind, {}).get(name))
        return values(source).get(path.removeprefix(mount["mountPath"]).strip("/")) if source and mount else None

    def listeners(self):
        return [l["address"] for l in self.config.get("listeners", [])]

    def admin(self):
        return self.config.get("admin", {}).get("address", "127.0.0.1:9901")

    def port(self, reference):
        """A containerPort, asked for by name or number as probes and Services do."""
        return next((p["containerPort"] for p in self.container.get("ports", [])
                     if reference in (p.get("name"), p["containerPort"])), None)


# Rules.

def schema(rendered):
    """valid for the oldest and the newest Kubernetes"""
    for document in rendered.documents:
        for version in KUBERNETES_VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as e:
                at = "/".join(str(p) for p in getattr(e, "path", []))
                yield f"{document['kind']}/{document['metadata']['name']} {at}: {e.message} (Kubernetes {version})"


def restricted(rendered):
    """Pod Security `restricted`, and a read-only root, for every container"""
    for name, pod in rendered.pods():
        spec = pod["spec"]
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(field):
                yield f"{name}: {field}"
        for volume in spec.get("volumes", []):
            if kinds := volume.keys() - {"name"} - CORE_VOLUMES:
                yield f"{name}: volume {volume['name']} is a {', '.join(kinds)}"
        for container in containers(spec):
            sidecar = container["name"] == GATEWAY and container in spec.get("initContainers", [])
            # The sidecar must not lean on what the application says of the Pod.
            outer = {} if sidecar else spec.get("securityContext", {})
            yield from (f"{name}/{container['name']}: {p}" for p in loose(container, outer))


def whole_folders(rendered):
    """volumes are mounted as folders"""
    for name, pod in rendered.pods():
        for container in containers(pod["spec"]):
            for mount in container.get("volumeMounts", []):
                if "subPath" in mount or "subPathExpr" in mount:
                    yield f"{name}/{container['name']}: {mount['mountPath']} is a subPath, which is never updated"


def no_api_token(rendered):
    """the gateway has no token for the Kubernetes API"""
    for gateway in rendered.gateways():
        hidden = any(m["mountPath"] == TOKEN_PATH for m in gateway.container.get("volumeMounts", []))
        # A sidecar cannot rely on the application doing without.
        off = gateway.spec.get("automountServiceAccountToken") is False and not gateway.is_sidecar
        if not (hidden or off):
            yield "a service account's token would be mounted"
    for account in rendered.of_kind("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount/{account['metadata']['name']} mounts tokens"


def secrets_stay_secret(rendered):
    """no secret outside a Secret"""
    hidden = {v for s in rendered.of_kind("Secret") for k, v in values(s).items() if k not in PUBLIC_KEYS}
    for document in rendered.documents:
        if document["kind"] == "Secret":
            continue
        text = yaml.safe_dump(document, width=10_000)
        name = f"{document['kind']}/{document['metadata']['name']}"
        if any(value in text for value in hidden):
            yield f"{name} holds the value of a Secret"
        if re.search(r"\bp8e-|\beyJ[A-Za-z0-9_-]{10}|BEGIN [A-Z ]*PRIVATE KEY", text):
            yield f"{name} holds something that looks like an Adobe secret, a token or a key"
    for gateway in rendered.gateways():
        for name, credential in gateway.config.get("credentials", {}).items():
            for secret in credential.get("client_secrets", []):
                if not re.fullmatch(r"\$\{file:/[^}]+\}", secret):
                    yield f"credentials.{name}.client_secrets has a value that does not come from a file"


def example_secrets_are_fake(rendered):
    """the Secrets kept here are made up"""
    for secret in rendered.of_kind("Secret"):
        for key, value in values(secret).items():
            if not value.startswith("this-is-not-") and value != "0A1B2C3D4E5F60718293A4B5@AdobeOrg":
                yield f"{key} does not start with `this-is-not-`: is it real?"


def configuration_mounted(rendered):
    """the configuration is where the gateway looks"""
    if not rendered.gateways():
        yield "no container is named profile-gateway"
    for gateway in rendered.gateways():
        if not gateway.config:
            yield f"no mounted ConfigMap has {gateway.config_path or 'a file named by --config'}"


def secret_files_mounted(rendered):
    """every file the configuration names is mounted"""
    for gateway in rendered.gateways():
        for path in re.findall(r"\$\{file:([^}]+)\}", gateway.config_text):
            if gateway.file(rendered, path, "secret") is None:
                yield f"{path} is in no mounted Secret"


def key_files_mounted(rendered):
    """the keys of issuers are mounted"""
    for gateway in rendered.gateways():
        for name, issuer in gateway.config.get("issuers", {}).items():
            path = issuer.get("jwks_file")
            if path and gateway.file(rendered, path, "configMap") is None:
                yield f"issuers.{name}: {path} is in no mounted ConfigMap"


def callers_have_tokens(rendered):
    """a Pod that is a caller has a token for the gateway"""
    for gateway in rendered.gateways():
        for name, caller in gateway.config.get("callers", {}).items():
            token = caller.get("workload_token", {})
            audiences = gateway.config["issuers"][token["issuer"]]["audiences"] if token else []
            for workload in (w for w in rendered.of_kind("Deployment") if token and subject_of(w) == token["subject"]):
                sources = [s for v in workload["spec"]["template"]["spec"].get("volumes", [])
                           for s in v.get("projected", {}).get("sources", [])]
                if not any(s.get("serviceAccountToken", {}).get("audience") in audiences for s in sources):
                    yield f"{name} has no token for {' or '.join(audiences)}"


def probes(rendered):
    """three probes ask the admin listener"""
    for gateway in rendered.gateways():
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            get = gateway.container.get(probe, {}).get("httpGet", {})
            if get.get("path") != path:
                yield f"{probe} does not ask {path}"
            elif gateway.port(get.get("port")) != port_of(gateway.admin()):
                yield f"{probe} does not ask the port of {gateway.admin()}"
        if loopback(gateway.admin()):
            yield f"the admin listener is on {gateway.admin()}, where the kubelet cannot reach it"


def sidecar_runs_beside(rendered):
    """a sidecar starts first and stays"""
    for gateway in rendered.sidecars():
        if gateway.container.get("restartPolicy") != "Always":
            yield "without restartPolicy Always it is an init container, and the application never starts"
        if gateway.spec["initContainers"][0] is not gateway.container:
            yield "another init container starts first and could not call Adobe"
    for name, pod in rendered.pods():
        asked = pod["metadata"].get("labels", {}).get("profile-gateway/sidecar") == "true"
        if asked and not any(c["name"] == GATEWAY for c in pod["spec"].get("initContainers", [])):
            yield f"{name} asks for a sidecar and has none"


def sidecar_on_loopback(rendered):
    """a sidecar listens to its own Pod only, on a free port"""
    for gateway in rendered.sidecars():
        taken = {p["containerPort"] for c in containers(gateway.spec) for p in c.get("ports", [])}
        for address in gateway.listeners() or ["no address at all"]:
            if not loopback(address):
                yield f"{address} is not loopback"
            elif port_of(address) in taken:
                yield f"{address} is taken by another container of the Pod"


def shared_is_reachable(rendered):
    """the Service leads to the data listener and to nothing else"""
    for gateway in rendered.shared():
        ports = {port_of(a) for a in gateway.listeners() if not loopback(a)}
        if not ports:
            yield "no listener can be reached from outside the Pod"
        for listener in gateway.config.get("listeners", []):
            nobody = not gateway.config.get("callers") and listener.get("anonymous") != "allow"
            if not loopback(listener["address"]) and nobody:
                yield f"{listener['address']} does not say `anonymous: allow`, and no callers are known"
        services = [s for s in rendered.of_kind("Service") if selects(s["spec"].get("selector"), gateway)]
        if not services:
            yield "no Service selects the gateway"
        for port in (p for s in services for p in s["spec"]["ports"]):
            if gateway.port(port.get("targetPort")) not in ports:
                yield f"Service port {port['port']} does not lead to a data listener"


def shared_is_fenced(rendered):
    """a NetworkPolicy says who may call and where the gateway may go"""
    for gateway in rendered.shared():
        policies = [p["spec"] for p in rendered.of_kind("NetworkPolicy")
                    if selects(p["spec"]["podSelector"].get("matchLabels"), gateway)]
        for direction, peers in (("Ingress", "from"), ("Egress", "to")):
            mine = [p for p in policies if direction in p.get("policyTypes", [])]
            if not mine:
                yield f"no NetworkPolicy restricts {direction}"
            for rule in (r for p in mine for r in p.get(direction.lower(), [])):
                if not rule.get(peers) or not rule.get("ports"):
                    yield f"a rule of {direction} has no `{peers}` or no ports: it lets everyone through"
                for peer in rule.get(peers, []):
                    if any(s in peer and not peer[s] for s in ("namespaceSelector", "podSelector")):
                        yield f"a peer of {direction} has an empty selector: it means everything"


def shared_survives_drains(rendered):
    """a PodDisruptionBudget covers the shared Pods"""
    for gateway in rendered.shared():
        budgets = rendered.of_kind("PodDisruptionBudget")
        if not any(selects(b["spec"]["selector"].get("matchLabels"), gateway) for b in budgets):
            yield "none does"


def drain_fits(rendered):
    """the grace period is longer than the drain"""
    for gateway in rendered.gateways():
        pause = gateway.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        drain = gateway.config.get("drain", {})
        times = drain if isinstance(drain, dict) else {"delay": "0s", "timeout": drain}
        needed = seconds(times.get("delay", "5s")) + seconds(times.get("timeout", "30s")) + pause
        grace = gateway.spec.get("terminationGracePeriodSeconds", 30)
        if grace <= needed:
            yield f"{grace} s, but stopping takes up to {needed:g} s"


def resources_bounded(rendered):
    """requests are set and memory is limited"""
    for gateway in rendered.gateways():
        resources = gateway.container.get("resources", {})
        for side, kind in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
            if kind not in resources.get(side, {}):
                yield f"no {side}.{kind}"
        if "workers" not in gateway.config and "cpu" not in resources.get("limits", {}):
            yield "without `workers` and without a CPU limit there is a thread for every CPU of the node"


def image_is_named(rendered):
    """the image has a tag or a digest"""
    for gateway in rendered.gateways():
        image = gateway.container.get("image", "")
        tag = image.rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest") and "@sha256:" not in image:
            yield f"{image or 'no image'}: which one runs depends on the day"


COMMON = [
    schema, restricted, whole_folders, no_api_token, secrets_stay_secret, example_secrets_are_fake,
    configuration_mounted, secret_files_mounted, key_files_mounted, callers_have_tokens, probes, drain_fits, resources_bounded, image_is_named,
]
SHARED = [shared_is_reachable, shared_is_fenced, shared_survives_drains]
SIDECAR = [sidecar_runs_beside, sidecar_on_loopback]
ALL = COMMON + SHARED + SIDECAR
# Those that mean something for a file on its own, before kustomize has put the parts together.
ONE_DOCUMENT = [schema, restricted, whole_folders, example_secrets_are_fake]


def applicable(rendered):
    """The rules that say something of this example. One without any gateway fails in `configuration_mounted`."""
    return COMMON + (SHARED if rendered.shared() else []) + (SIDECAR if rendered.sidecars() else [])


# Helpers.

def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def loose(container, pod_context):
    """How `container` falls short of `restricted`."""
    own = container.get("securityContext", {})
    both = {**pod_context, **own}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if both.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccompProfile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities are not all dropped"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"


def values(source):
    """The keys of a ConfigMap or Secret and what they hold, as text."""
    plain = {**source.get("stringData", {})}
    data = source.get("data", {})
    if source["kind"] == "Secret":
        data = {k: base64.b64decode(v).decode() for k, v in data.items()}
    return {**data, **plain}


def selects(labels, gateway):
    """Whether a selector means the gateway's Pods. An empty one means every Pod and is not taken for intent."""
    return bool(labels) and labels.items() <= gateway.pod["metadata"]["labels"].items()


def subject_of(workload):
    """What the service-account tokens of a workload's Pods say of them."""
    account = workload["spec"]["template"]["spec"].get("serviceAccountName", "default")
    return f"system:serviceaccount:{workload['metadata'].get('namespace', 'default')}:{account}"


def loopback(address):
    if address.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_loopback
    except ValueError:
        return False


def port_of(address):
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else None


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", duration).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def after(items, item):
    return items[items.index(item) + 1:] if item in items else []
