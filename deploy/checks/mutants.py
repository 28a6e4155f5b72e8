"""Ways to break the rendered examples, each with the rule that has to notice.

A rule without a mutant fails the self-test: a check that was never seen failing may not be one.
"""

from checks import rules


def gateway(rendered):
    return rendered.gateways()[0]


def container(rendered):
    return gateway(rendered).container


def only(rendered, kind):
    return rendered.of_kind(kind)[0]


def configuration(rendered, old, new):
    """Edits the gateway's configuration as text; the YAML around it is not of interest here."""
    data = next(c for c in rendered.of_kind("ConfigMap") if "gateway.yaml" in c["data"])["data"]
    data["gateway.yaml"] = data["gateway.yaml"].replace(old, new)


def drop(rendered, kind):
    rendered.documents[:] = [d for d in rendered.documents if d["kind"] != kind]


def security(field, value):
    return lambda r: container(r)["securityContext"].update({field: value})


def pod_security(field, value):
    return lambda r: gateway(r).spec["securityContext"].update({field: value})


def both(rule, what, mutate):
    return [(rule, "shared", what, mutate), (rule, "sidecar", what, mutate)]


def shared(rule, what, mutate):
    return [(rule, "shared", what, mutate)]


def sidecar(rule, what, mutate):
    return [(rule, "sidecar", what, mutate)]


def callers(rule, what, mutate):
    return [(rule, "callers", what, mutate)]


def caller_spec(rendered):
    """The Pod of the application that calls."""
    return rendered.named("Deployment", "checkout")["spec"]["template"]["spec"]


def last_init_container(rendered):
    inits = gateway(rendered).spec["initContainers"]
    inits.append(inits.pop(0))


def real_looking_secret(rendered):
    only(rendered, "Secret")["stringData"]["client_secret"] = "s8Xq-0f"


def secret_in_config_map(rendered):
    configuration(rendered, "${file:/var/run/secrets/ims/client_secret}", "this-is-not-a-client-secret")


def mount_one_file(rendered):
    container(rendered)["volumeMounts"][0].update({"mountPath": "/etc/profile-gateway/gateway.yaml", "subPath": "gateway.yaml"})


def probe_data_port(rendered):
    container(rendered)["readinessProbe"]["httpGet"]["port"] = 8080


def without_label(path, kind):
    def mutate(rendered):
        place = only(rendered, kind)["spec"]
        for key in path:
            place = place[key]
        place["app.kubernetes.io/component"] = "another"
    return mutate


MUTANTS = [
    *both(rules.schema, "a misspelt field", lambda r: container(r).update({"volumeMount": []})),
    *both(rules.schema, "a number where a string belongs", lambda r: container(r).update({"image": 1})),

    *both(rules.restricted, "privilege escalation", security("allowPrivilegeEscalation", True)),
    *both(rules.restricted, "a writable root", security("readOnlyRootFilesystem", False)),
    *both(rules.restricted, "privileged", security("privileged", True)),
    *both(rules.restricted, "capabilities kept", security("capabilities", {})),
    *both(rules.restricted, "a capability added", security("capabilities", {"drop": ["ALL"], "add": ["SYS_PTRACE"]})),
    *both(rules.restricted, "runs as root", security("runAsUser", 0)),
    *both(rules.restricted, "an unmasked /proc", security("procMount", "Unmasked")),
    *shared(rules.restricted, "root allowed", pod_security("runAsNonRoot", False)),
    *shared(rules.restricted, "no seccomp profile", pod_security("seccompProfile", {"type": "Unconfined"})),
    *sidecar(rules.restricted, "root allowed, but not by the application", lambda r: container(r)["securityContext"].pop("runAsNonRoot")),
    *sidecar(rules.restricted, "seccomp only from the application", lambda r: container(r)["securityContext"].pop("seccompProfile")),
    *sidecar(rules.restricted, "the application's container loosened", lambda r: gateway(r).spec["containers"][0].pop("securityContext")),
    *both(rules.restricted, "the host's network", lambda r: gateway(r).spec.update({"hostNetwork": True})),
    *both(rules.restricted, "a port of the host", lambda r: container(r)["ports"][0].update({"hostPort": 9901})),
    *both(rules.restricted, "a folder of the host", lambda r: gateway(r).spec["volumes"].append({"name": "h", "hostPath": {"path": "/"}})),

    *both(rules.whole_folders, "one file mounted", mount_one_file),

    *shared(rules.no_api_token, "a token mounted", lambda r: gateway(r).spec.pop("automountServiceAccountToken")),
    *shared(rules.no_api_token, "an account that mounts tokens", lambda r: only(r, "ServiceAccount").pop("automountServiceAccountToken")),
    *sidecar(rules.no_api_token, "the application's token in reach", lambda r: container(r)["volumeMounts"].pop()),

    *both(rules.secrets_stay_secret, "a secret in the ConfigMap", secret_in_config_map),
    *both(rules.secrets_stay_secret, "a secret from the environment", lambda r: configuration(r, "${file:/var/run/secrets/ims/client_secret}", "${env:SECRET}")),
    *both(rules.secrets_stay_secret, "a secret in an argument", lambda r: container(r)["args"].append("this-is-not-a-client-secret")),
    *both(rules.secrets_stay_secret, "an Adobe secret in a comment", lambda r: configuration(r, "drain:", "# p8e-abc\ndrain:")),
    *both(rules.example_secrets_are_fake, "a real-looking secret", real_looking_secret),

    *both(rules.configuration_mounted, "the configuration mounted elsewhere", lambda r: container(r)["volumeMounts"][0].update({"mountPath": "/etc/other"})),
    *both(rules.configuration_mounted, "no --config", lambda r: container(r).update({"args": ["run"]})),
    *both(rules.configuration_mounted, "no ConfigMap", lambda r: drop(r, "ConfigMap")),
    *both(rules.configuration_mounted, "the container renamed", lambda r: container(r).update({"name": "proxy"})),
    *both(rules.secret_files_mounted, "a file that is in no Secret", lambda r: configuration(r, "ims/client_id", "ims/client-id")),
    *both(rules.secret_files_mounted, "the secrets mounted elsewhere", lambda r: container(r)["volumeMounts"][1].update({"mountPath": "/secrets"})),

    *callers(rules.key_files_mounted, "keys that are not in the ConfigMap", lambda r: configuration(r, "gateway/jwks.json", "gateway/keys.json")),
    *callers(rules.callers_have_tokens, "a token for somebody else", lambda r: caller_spec(r)["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"].update({"audience": "another"})),
    *callers(rules.callers_have_tokens, "no token", lambda r: caller_spec(r).pop("volumes")),
    *callers(rules.shared_is_reachable, "nobody is known", lambda r: configuration(r, "\ncallers:", "\nx-callers:")),

    *both(rules.probes, "no startup probe", lambda r: container(r).pop("startupProbe")),
    *both(rules.probes, "no liveness probe", lambda r: container(r).pop("livenessProbe")),
    *both(rules.probes, "no readiness probe", lambda r: container(r).pop("readinessProbe")),
    *both(rules.probes, "liveness asks readiness", lambda r: container(r)["livenessProbe"]["httpGet"].update({"path": "/readyz"})),
    *both(rules.probes, "a probe of the data port", probe_data_port),
    *both(rules.probes, "admin on loopback", lambda r: configuration(r, "address: 0.0.0.0:9901", "address: 127.0.0.1:9901")),

    *sidecar(rules.sidecar_runs_beside, "no restartPolicy", lambda r: container(r).pop("restartPolicy")),
    *sidecar(rules.sidecar_runs_beside, "not the first", last_init_container),
    *sidecar(rules.sidecar_runs_beside, "not there", lambda r: gateway(r).spec["initContainers"].pop(0)),
    *sidecar(rules.sidecar_on_loopback, "reachable from other Pods", lambda r: configuration(r, "127.0.0.1:9900", "0.0.0.0:9900")),
    *sidecar(rules.sidecar_on_loopback, "on the application's port", lambda r: configuration(r, "127.0.0.1:9900", "127.0.0.1:8080")),
    *sidecar(rules.sidecar_on_loopback, "no listener", lambda r: configuration(r, "listeners:", "listener:")),

    *shared(rules.shared_is_reachable, "listens on loopback", lambda r: configuration(r, "0.0.0.0:8080", "127.0.0.1:8080")),
    *shared(rules.shared_is_reachable, "anonymous callers unsaid", lambda r: configuration(r, "anonymous: allow", "")),
    *shared(rules.shared_is_reachable, "a Service to the admin port", lambda r: only(r, "Service")["spec"]["ports"][0].update({"targetPort": "metrics"})),
    *shared(rules.shared_is_reachable, "a Service of other Pods", without_label(["selector"], "Service")),
    *shared(rules.shared_is_fenced, "no NetworkPolicy", lambda r: drop(r, "NetworkPolicy")),
    *shared(rules.shared_is_fenced, "free to go anywhere", lambda r: only(r, "NetworkPolicy")["spec"].update({"policyTypes": ["Ingress"]})),
    *shared(rules.shared_is_fenced, "open to everyone", lambda r: only(r, "NetworkPolicy")["spec"]["ingress"][0].pop("from")),
    *shared(rules.shared_is_fenced, "open to every namespace", lambda r: only(r, "NetworkPolicy")["spec"]["ingress"][0]["from"][0].update({"namespaceSelector": {}})),
    *shared(rules.shared_is_fenced, "a policy of other Pods", without_label(["podSelector", "matchLabels"], "NetworkPolicy")),
    *shared(rules.shared_survives_drains, "no budget", lambda r: drop(r, "PodDisruptionBudget")),
    *shared(rules.shared_survives_drains, "a budget of other Pods", without_label(["selector", "matchLabels"], "PodDisruptionBudget")),

    *both(rules.drain_fits, "a drain as long as the grace period", lambda r: configuration(r, "drain:", "drain: 2m #")),
    *both(rules.drain_fits, "the grace period left at its default", lambda r: gateway(r).spec.pop("terminationGracePeriodSeconds")),
    *shared(rules.drain_fits, "no room for the delay", lambda r: configuration(r, "delay: 5s", "delay: 20s")),
    *shared(rules.drain_fits, "no room for a pause before", lambda r: container(r).update({"lifecycle": {"preStop": {"sleep": {"seconds": 20}}}})),
    *both(rules.resources_bounded, "memory without limit", lambda r: container(r)["resources"].pop("limits")),
    *both(rules.resources_bounded, "no requests", lambda r: container(r)["resources"].pop("requests")),
    *both(rules.resources_bounded, "a thread for every CPU of the node", lambda r: configuration(r, "workers:", "# workers:")),
    *both(rules.image_is_named, "no tag", lambda r: container(r).update({"image": "registry.example:5000/profile-gateway"})),
    *both(rules.image_is_named, "latest", lambda r: container(r).update({"image": "profile-gateway:latest"})),
]
