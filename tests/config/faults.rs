//! What operators read when a configuration is wrong.

use profile_gateway::config;

use super::{BASE, faults, messages, sources, with};

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let text = "\
listeners:
  - address: 0.0.0.0:8080
    limits: { head: 64KB, fields: 0 }
upstream:
  url: http://platform.example.com
  timeout: 3s
credentials:
  loyalty:
    organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg
    client_id: ${env:CLIENT}
    client_secret: p8e-plain
sandboxes:
  prod: {}
  dev-2: { production: no }
routes:
  - name: lookups
    match: { path: /data/core/ups/access/entities, methods: [GET, FETCH] }
    credential: loyality
    sandbox: prod
    limits: [{ rate: 50 }]
    timeout: 11m
  - name: others
    match: { path: '/data/core/{*rest}' }
    callers: [checkout]
";

    let expected = "\
error: listeners[0].address: the address can be reached from other machines, and no caller has to show who it is
 --> gateway.yaml:2:14
  |
2 |   - address: 0.0.0.0:8080
  |              ^^^^^^^^^^^^
  = help: configure `callers`, or write `anonymous: allow` if everybody who reaches it may do what the routes permit, or listen on 127.0.0.1

error: listeners[0].limits.head: must be a size such as 64KiB, 10MiB, or a number of bytes; units are B, KiB, MiB and GiB
 --> gateway.yaml:3:21
  |
3 |     limits: { head: 64KB, fields: 0 }
  |                     ^^^^

error: listeners[0].limits.fields: must be from 1 to 256
 --> gateway.yaml:3:35
  |
3 |     limits: { head: 64KB, fields: 0 }
  |                                   ^

error: upstream.url: plain http would send tokens and profiles readable over the network
 --> gateway.yaml:5:8
  |
5 |   url: http://platform.example.com
  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: write https://, or add `allow_plain_http: true` if the way there is protected otherwise

error: upstream.timeout: there is no such key here
 --> gateway.yaml:6:3
  |
6 |   timeout: 3s
  |   ^^^^^^^
  = help: the keys here are address, allow_plain_http, breaker, ca_file, client_certificate, connect_timeout, connection_lifetime, connections, drop_answer_fields, egress_proxy, forwarded, http2, idle_timeout, min_tls, request_body, response_idle_timeout, retries, rewrite_links, tls_timeout, token_refused_by, url, waiting

error: credentials.loyalty.client_id: the environment variable CLIENT is not set
  --> gateway.yaml:10:16
   |
10 |     client_id: ${env:CLIENT}
   |                ^^^^^^^^^^^^^
   = help: set it, or give a default: ${env:NAME:-default}

error: credentials.loyalty.client_secret: there is no such key here
  --> gateway.yaml:11:5
   |
11 |     client_secret: *********
   |     ^^^^^^^^^^^^^
   = help: did you mean `client_secrets`?

error: sandboxes.dev-2.production: must be true or false
  --> gateway.yaml:14:24
   |
14 |   dev-2: { production: no }
   |                        ^^

error: routes[0].match.methods[1]: must be GET, HEAD, POST, PUT, PATCH or DELETE
  --> gateway.yaml:17:67
   |
17 |     match: { path: /data/core/ups/access/entities, methods: [GET, FETCH] }
   |                                                                   ^^^^^

error: routes[0].credential: no credential is named `loyality`
  --> gateway.yaml:18:17
   |
18 |     credential: loyality
   |                 ^^^^^^^^
   = help: did you mean `loyalty`?

error: routes[0].limits[0].rate: must be a rate such as 50/s, 120/min or 10/6s
  --> gateway.yaml:20:22
   |
20 |     limits: [{ rate: 50 }]
   |                      ^^

error: routes[0].timeout: must be from 100ms to 10m
  --> gateway.yaml:21:14
   |
21 |     timeout: 11m
   |              ^^^

error: routes[1].sandbox: is missing: there is more than one sandbox
  --> gateway.yaml:22:5
   |
22 |   - name: others
   |     ^
   = help: the sandbox may be prod, dev-2

error: routes[1].callers[0]: no caller is named `checkout`
  --> gateway.yaml:24:15
   |
24 |     callers: [checkout]
   |               ^^^^^^^^
   = help: there is only anonymous
";
    assert_eq!(faults(text), expected);
}

#[test]
fn two_places_of_one_matter_are_both_shown() {
    let text = with(
        "\
routes:
  - name: one
    match: { path: '/data/{id}/x' }
  - name: two
    match:
      methods: [HEAD, POST]
      path: ['/data/core/ups', '/data/{other}/x/']
",
    );

    let expected = "\
error: routes[1].match.path[1]: `/data/{other}/x/` of route two ties with `/data/{id}/x` of route one for HEAD: neither is more specific
  --> gateway.yaml:14:32
   |
14 |       path: ['/data/core/ups', '/data/{other}/x/']
   |                                ^^^^^^^^^^^^^^^^^^
   = the other one is here
  --> gateway.yaml:10:20
   |
10 |     match: { path: '/data/{id}/x' }
   |                    ^^^^^^^^^^^^^^
   = help: give the two different methods, paths or other conditions, or make them one route
";
    assert_eq!(faults(&text), expected);
}

#[test]
fn routes_tie_by_host_fields_and_operations_too() {
    let text = with(
        "\
routes:
  - name: one
    match: { prefix: /data, host: ['*.Internal', a.example], headers: [{ name: x-team, exact: crm }] }
  - name: two
    match: { prefix: [/other, /data/], host: '*.internal', headers: [{ name: X-Team, exact: crm }] }
  - name: three
    match: { operations: ['exports.*', entities.read] }
  - name: four
    match: { operations: [exports.create, entities.read], methods: [POST] }
",
    );

    let expected = "\
error: routes[1].match.prefix[1]: `*.internal/data/` of route two ties with `*.internal/data` of route one: neither is more specific
  --> gateway.yaml:12:31
   |
12 |     match: { prefix: [/other, /data/], host: '*.internal', headers: [{ name: X-Team, exact: crm }] }
   |                               ^^^^^^
   = the other one is here
  --> gateway.yaml:10:22
   |
10 |     match: { prefix: /data, host: ['*.Internal', a.example], headers: [{ name: x-team, exact: crm }] }
   |                      ^^^^^
   = help: give the two different methods, paths or other conditions, or make them one route

error: routes[3].match: `operations [exports.create, entities.read]` of route four ties with `operations [exports.*, entities.read]` of route three for POST: neither is more specific
  --> gateway.yaml:16:5
   |
16 |     match: { operations: [exports.create, entities.read], methods: [POST] }
   |     ^^^^^
   = the other one is here
  --> gateway.yaml:14:5
   |
14 |     match: { operations: ['exports.*', entities.read] }
   |     ^^^^^
   = help: give the two different methods, paths or other conditions, or make them one route
";
    assert_eq!(faults(&text), expected);
}

#[test]
fn what_a_route_can_never_match_is_named() {
    let route = |matching: &str, more: &str| {
        with(&format!("routes: [{{ name: a, match: {matching}{more} }}]"))
    };
    for (text, expected) in [
        (
            route("{ methods: [GET] }", ""),
            "match.path: is missing: nothing says which paths the route takes",
        ),
        (
            route("{ host: a.example }", ""),
            "match.path: is missing: nothing says which paths the route takes",
        ),
        (
            route("{ path: /a, prefix: /b }", ""),
            "match.prefix: excludes `path`: a path is matched whole, or by its beginning",
        ),
        (
            route("{ prefix: '/{a}' }", ""),
            "match.prefix: holds `{`; a prefix is made of literal segments",
        ),
        (
            route("{ path: /a, host: 'a.example:80' }", ""),
            "match.host: must be a host such as profile.internal, without a port, or all below one such as *.internal",
        ),
        (
            route("{ path: /a, headers: [{ name: host, exact: a }] }", ""),
            "match.headers[0].name: names Host, which `host` beside `headers` is for",
        ),
        (
            route(
                "{ path: /a, headers: [{ name: X-Request-Id, present: false }] }",
                "",
            ),
            "match.headers[0].name: names x-request-id, which every request has: the gateway gives one to those that come without",
        ),
        (
            route("{ path: /a, headers: [{ name: x-team }] }", ""),
            "match.headers[0]: says nothing of the field but its name",
        ),
        (
            route(
                "{ path: /a, headers: [{ name: x-team, prefix: a, present: true }] }",
                "",
            ),
            "match.headers[0].present: excludes `prefix`: a field has one condition",
        ),
        (
            route(
                "{ path: /a, headers: [{ name: x-team, exact: a }, { name: X-Team, exact: b }] }",
                "",
            ),
            "match.headers[1].name: stands in the list twice: a field has one condition",
        ),
        (
            route("{ path: /a, headers: [{ name: x-team, exact: ' a' }] }", ""),
            "match.headers[0].exact: must be the value of a header field, in printable ASCII characters, without blanks around it",
        ),
        (
            route("{ operations: [entity.read] }", ""),
            "match.operations[0]: no operation is named `entity.read`",
        ),
        (
            route("{ operations: ['export.*'] }", ""),
            "match.operations[0]: no group of operations is named `export.*`",
        ),
        (
            route(
                "{ operations: ['exports.*', entities.read], kinds: [job] }",
                "",
            ),
            "match.operations[1]: is of none of the `kinds`, so that nothing matches",
        ),
        (
            route(
                "{ operations: [entities.delete], methods: [GET, POST] }",
                "",
            ),
            "match.operations[0]: can be no request of this route, whose methods are GET, POST",
        ),
        (
            route(
                "{ operations: ['unknown.*'], methods: [GET], kinds: [read, job] }",
                "",
            ),
            "match.kinds[1]: can be no request of this route, whose methods are GET",
        ),
        (
            route("{ path: '/data/segments:purge' }", ""),
            "match.path: holds `:`, which callers can write as `%3A` too, and so get around a literal; put {name} in the place of the segment",
        ),
        (
            route("{ prefix: /data/a@b }", ""),
            "match.prefix: holds `@`, which can be written as `%40` too, so that callers could get around it; a prefix is of letters, digits and -._~ in whole segments",
        ),
        (
            route("{ path: ['/a', '/{sandbox}/b'] }", ""),
            "match.path[1]: has the segment {sandbox}, and the route does not find its sandbox there",
        ),
        (
            route(
                "{ path: '/{sandbox}/b/{sandbox}' }",
                ", sandbox: { from: path, allow: [prod] }",
            ),
            "match.path: has the segment {sandbox} twice, and a request works in one",
        ),
        (
            route("{ kinds: [read, write, job, delete] }", ""),
            "match.kinds: names every kind, which says nothing",
        ),
        (
            route("{ path: /crm/a }", ", rewrite: { strip_prefix: /cr }"),
            "rewrite.strip_prefix: is not how every path of the route begins: `/crm/a` does not",
        ),
        (
            route(
                "{ path: [/crm/a, '/{x}/b'] }",
                ", rewrite: { replace_prefix: { from: /crm, to: /data } }",
            ),
            "rewrite.replace_prefix.from: is not how every path of the route begins: `/{x}/b` does not",
        ),
        (
            route("{ kinds: [read] }", ", rewrite: { strip_prefix: /crm }"),
            "rewrite.strip_prefix: is not how every path of the route begins: `/` does not",
        ),
        (
            route(
                "{ path: /a }",
                ", rewrite: { strip_prefix: /a, replace_prefix: { from: /a, to: /b } }",
            ),
            "rewrite.strip_prefix: excludes `replace_prefix`",
        ),
        (
            route("{ path: /a }", ", rewrite: {}"),
            "rewrite: says nothing",
        ),
    ] {
        assert_eq!(messages(&text), [format!("routes[0].{expected}")], "{text}");
    }
}

#[test]
fn operations_that_contradict_each_other_are_named() {
    let text = with(
        "\
operations:
  - { name: consents.read, method: GET, path: '/consents/{id}', kind: read }
  - { name: consents.list, method: GET, path: '/Consents/{other}/', kind: read }
",
    );
    let expected = "\
error: operations[1].path: another row is of this method and path already
  --> gateway.yaml:10:47
   |
10 |   - { name: consents.list, method: GET, path: '/Consents/{other}/', kind: read }
   |                                               ^^^^^^^^^^^^^^^^^^^^
   = the other one is here
  --> gateway.yaml:9:47
   |
 9 |   - { name: consents.read, method: GET, path: '/consents/{id}', kind: read }
   |                                               ^^^^^^^^^^^^^^^^
";
    assert_eq!(faults(&text), expected);

    for (row, expected) in [
        (
            "{ name: a.b.c, method: GET, path: /a, kind: read }",
            "operations[0].name: must be the name of an operation such as consents.read: letters and digits, with one dot between two words, at most 64 of them",
        ),
        (
            "{ name: unknown.read, method: GET, path: /a, kind: read }",
            "operations[0].name: begins with `unknown`, which is for what no row knows",
        ),
        (
            "{ name: a, method: HEAD, path: /a, kind: read }",
            "operations[0].method: must be GET, POST, PUT, PATCH or DELETE",
        ),
        (
            "{ name: a, method: GET, path: /a }",
            "operations[0].kind: is missing",
        ),
        (
            "{ name: a, method: GET, path: /a, kind: read, cost: 0 }",
            "operations[0].cost: must be from 1 to 1000",
        ),
    ] {
        assert_eq!(messages(&with(&format!("operations: [{row}]"))), [expected]);
    }
}

#[test]
fn structural_faults_are_named() {
    for (text, expected) in [
        (with("drain: 2h"), "drain: must be from 0s to 1h"),
        (
            with("drain: 30"),
            "drain: must be a duration such as 250ms, 30s or 24h",
        ),
        (with("drain:"), "drain: has no value"),
        (with("drain: ~"), "drain: has no value"),
        (
            with("drain: [30s]"),
            "drain: must be a duration such as 250ms, 30s or 24h or a map",
        ),
        (
            with("callers: { crm: { api_key: my-key } }"),
            "callers.crm.api_key: must be a list or a map with sha256",
        ),
        (with("in_flight: many"), "in_flight: must be a whole number"),
        (with("in_flight: 0"), "in_flight: must be from 1 to 1000000"),
        (with("in_flight: -1"), "in_flight: must be a whole number"),
        (with("in_flight: '10'"), "in_flight: must be a whole number"),
        (
            with("in_flight: 99999999999999999999"),
            "in_flight: must be from 1 to 1000000",
        ),
        (
            with("workers: many"),
            "workers: must be auto or a whole number",
        ),
        (with("workers: 0"), "workers: must be from 1 to 1024"),
        (
            with("listeners: {}"),
            "listeners: must be a list: [first, second]",
        ),
        (
            with("listeners: []"),
            "listeners: must have at least one entry",
        ),
        (
            with("log: { level: warning }"),
            "log.level: must be error, warn, info, debug or trace",
        ),
        (
            with("admin: { address: localhost:9901 }"),
            "admin.address: must be an IP address and port such as 127.0.0.1:8080 or [::]:8080",
        ),
        (
            with("upstream: { url: 'https://platform.adobe.io/data' }"),
            "upstream.url: must end after the host and port: no user, path or query",
        ),
        (
            with("upstream: { http2: yes }"),
            "upstream.http2: must be true or false",
        ),
        (
            with("drain: 1s\ndrain: 2s"),
            "drain: the key stands here a second time",
        ),
        (
            with("routes: [{ match: { path: /a } }]"),
            "routes[0].name: is missing",
        ),
        (
            with("routes: [{ name: a b, match: { path: /a } }]"),
            "routes[0].name: must be a name of letters, digits, dots, hyphens and underscores, at most 64 of them",
        ),
        (
            with("routes: [{ name: a, match: { path: a } }]"),
            "routes[0].match.path: must be an absolute path such as /data/core/ups/access/entities",
        ),
        (
            with("routes: [{ name: a, match: { path: [] } }]"),
            "routes[0].match.path: must have at least one entry",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, permit: read }]"),
            "routes[0].permit: must be a map or a list of read, write, job, delete",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, permit: { prod: read } }]"),
            "routes[0].permit.prod: must be a list of read, write, job, delete",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, permit: }]"),
            "routes[0].permit: has no value",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, sandbox: [prod] }]"),
            "routes[0].sandbox: must be a map or a sandbox name such as prod or dev-2",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, permit: [] }]"),
            "routes[0].permit: must have at least one entry",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, permit: [read, read] }]"),
            "routes[0].permit[1]: stands in the list twice",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, limits: [{ rate: 0/s }] }]"),
            "routes[0].limits[0].rate: must allow a whole number of requests from 1 up: must be a rate such as 50/s, 120/min or 10/6s",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, limits: [{ rate: 1/s, burst: 0 }] }]"),
            "routes[0].limits[0].burst: must be from 1 to 4294967295",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, let_through: [x-sandbox-name] }]"),
            "routes[0].let_through[0]: names x-sandbox-name, which the gateway writes itself: what a caller sent is always taken out",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, let_through: [accept] }]"),
            "routes[0].let_through[0]: must be one of x-sandbox-id, x-gw-ims-authorization, x-user-token and api_key; other fields pass anyway",
        ),
        (
            BASE.replace("  prod:", "  Prod:"),
            "sandboxes.Prod: the name may hold only lower-case letters, digits and hyphens",
        ),
        (
            BASE.replace("'${env:SECRET}'", "a, b, c"),
            "credentials.loyalty.client_secrets: has 3 entries; at most 2 are possible",
        ),
        (
            BASE.replace("'${env:SECRET}'", ""),
            "credentials.loyalty.client_secrets: must have at least one entry",
        ),
        (
            BASE.replace("'${env:SECRET}'", "'${env:EMPTY}'"),
            "credentials.loyalty.client_secrets[0]: the value with ${env:EMPTY} is empty",
        ),
        (
            BASE.replace("'${env:SECRET}'", "''"),
            "credentials.loyalty.client_secrets[0]: may hold only visible ASCII characters, without blanks or line breaks",
        ),
        (
            BASE.replace("'${env:SECRET}'", "'${file:/hidden}'"),
            "credentials.loyalty.client_secrets[0]: the value with ${file:/hidden} is not a secret of visible ASCII characters",
        ),
        (
            BASE.replace("client_id", "clientId"),
            "credentials.loyalty.clientId: there is no such key here",
        ),
        (
            BASE.replace("sandboxes:", "sandbox:"),
            "sandbox: there is no such key here",
        ),
    ] {
        assert_eq!(messages(&text), [expected], "{text}");
    }
}

#[test]
fn what_contradicts_itself_is_named() {
    for (text, expected) in [
        (
            with("admin: { address: '127.0.0.1:8080' }"),
            "listeners[0].address: the address is taken by admin.address already",
        ),
        (
            with("listeners: [{ address: '127.0.0.1:1' }, { address: '127.0.0.1:1' }]"),
            "listeners[1].address: the address is taken by listeners[0].address already",
        ),
        (
            with("listeners: [{ limits: { target: 48KiB } }]"),
            "listeners[0].limits.target: is larger than `head`, which holds the target",
        ),
        (
            with("ims: { url: 'http://ims.example.com' }"),
            "ims.url: plain http would send client secrets readable over the network",
        ),
        (
            with("upstream: { url: 'http://localhost', address: '10.0.0.5:80' }"),
            "upstream.url: plain http would send tokens and profiles readable over the network",
        ),
        (
            with("ims: { address: '10.0.0.5:0' }"),
            "ims.address: port 0 cannot be connected to",
        ),
        (
            with("upstream: { drop_answer_fields: ['*'] }"),
            "upstream.drop_answer_fields[0]: must be the name of a field such as server, or the beginning of names such as x-internal-*",
        ),
        (
            with("upstream: { drop_answer_fields: [server, Content-Type] }"),
            "upstream.drop_answer_fields[1]: is a field that an answer cannot be read without",
        ),
        (
            with("ims: { ca_file: /none.pem }"),
            "ims.ca_file: the file does not exist",
        ),
        (
            with("ims: { ca_file: /no-certificate.pem }"),
            "ims.ca_file: the file holds no certificate",
        ),
        (
            with("routes: [{ name: a, match: { path: /a }, sandbox: prd }]"),
            "routes[0].sandbox: no sandbox is named `prd`",
        ),
        (
            with("routes: [{ name: a, match: { path: /a } }, { name: a, match: { path: /b } }]"),
            "routes[1].name: another route has this name already",
        ),
        (
            with("  dev-2: {}"),
            "routes: there is more than one sandbox, and no route that says which is used for what",
        ),
        (
            BASE.replace("'${env:SECRET}'", "x, x"),
            "credentials.loyalty.client_secrets[1]: is the same secret as the first",
        ),
    ] {
        assert_eq!(messages(&text), [expected], "{text}");
    }
    assert_eq!(
        messages(""),
        ["credentials: is missing", "sandboxes: is missing"]
    );
    assert_eq!(
        messages("credentials: {}\nsandboxes: {}"),
        [
            "credentials: must have at least one entry",
            "sandboxes: must have at least one entry"
        ]
    );
}

#[test]
fn what_is_not_built_is_not_accepted() {
    for more in [
        "routes: [{ name: a, match: { path: /a }, limits: [{ rate: 1/s, per: caller }] }]",
        "routes: [{ name: a, match: { path: /a }, limits: [{ rate: 1/s, wait: 1s }] }]",
    ] {
        assert_eq!(messages(&with(more)).len(), 1, "{more}");
    }
}

#[test]
fn what_is_legal_is_accepted() {
    for more in [
        "workers: ${env:WORKERS:-4}",
        "listeners: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0' }]",
        "listeners: [{ address: '0.0.0.0:1', anonymous: refuse }]",
        "listeners: [{ http2: '${env:HTTP2:-false}' }]",
        "upstream: { url: 'http://platform.example.com', allow_plain_http: true }",
        "upstream: { url: 'http://[::1]:9090', request_body: 0 }",
        "upstream: { drop_answer_fields: [Server, 'X-Internal-*', 'content-*'] }",
        "upstream: { url: 'http://platform.example.com', address: '127.0.0.1:9090' }",
        "ims: { url: 'http://ims.example.com', address: '[::1]:9090' }",
        "ims: { min_tls: 1.3, egress_proxy: none, address: '10.0.0.5:443' }",
        "upstream: { min_tls: '1.2', tls_timeout: 10ms, egress_proxy: 'https://a:b%40@[::1]' }",
        "upstream: { url: 'http://platform.example.com', egress_proxy: 'http://proxy', allow_plain_http: true }",
        "routes: [{ name: a, match: { path: /a, methods: [GET] } }, { name: b, match: { path: /a, methods: [POST] } }]",
        "routes: [{ name: 1e3, match: { path: '/{a}/b' } }, { name: no, match: { path: '/{a}/{b}' } }]",
        "routes: [{ name: a, match: { path: /a }, let_through: [X-Sandbox-Id, api_key] }]",
        "routes: [{ name: a, match: { prefix: / } }, { name: b, match: { prefix: /a } }, { name: c, match: { path: /a } }]",
        "routes: [{ name: a, match: { kinds: [read] } }, { name: b, match: { kinds: [write, job] } }]",
        "routes: [{ name: a, match: { operations: [entities.read] } }, { name: b, match: { operations: ['entities.*'] } }]",
        "routes: [{ name: a, match: { path: /a, host: a.example } }, { name: b, match: { path: /a, host: '*.example' } }]",
        "routes: [{ name: a, match: { path: /a, headers: [{ name: x, present: true }] } }, { name: b, match: { path: /a, headers: [{ name: x, present: false }] } }]",
        "routes: [{ name: a, match: { path: '/crm/{*r}' }, rewrite: { strip_prefix: /crm/ } }]",
        "operations: [{ name: consents.read, method: GET, path: /c, kind: read }]\nroutes: [{ name: a, match: { operations: ['consents.*'] } }]",
        "operations: [{ name: a, method: GET, path: /a, kind: read }, { name: a, method: PUT, path: /a, kind: write }]",
    ] {
        let loaded = config::parse("gateway.yaml", &with(more), &sources());
        assert!(loaded.is_ok(), "{more}: {loaded:?}");
    }
}

#[test]
fn json_names_the_same_faults() {
    let text = with("drian: 1s\ndrain: 1s\ndrain: 2s");

    let json = config::parse("gateway.yaml", &text, &sources())
        .unwrap_err()
        .to_json();

    assert_eq!(
        json,
        serde_json::json!({
            "faults": [
                {
                    "file": "gateway.yaml", "line": 8, "column": 1, "key": "drian",
                    "message": "there is no such key here",
                    "help": KEYS,
                },
                {
                    "file": "gateway.yaml", "line": 10, "column": 1, "key": "drain",
                    "message": "the key stands here a second time",
                    "also": {
                        "file": "gateway.yaml", "line": 9, "column": 1,
                        "message": "the first time is here",
                    },
                },
            ],
            "more": 0,
        })
    );
}

const KEYS: &str = "the keys here are admin, audit, callers, credentials, drain, ims, in_flight, issuers, listeners, log, operations, routes, sandboxes, shadow, shared, upstream, workers";
