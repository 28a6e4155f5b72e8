"""The origin that writes down what reaches it, and the proxies in front of it."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sysconfig
import threading
import time

TOKEN = json.dumps({"access_token": "conformance", "token_type": "bearer", "expires_in": 86399}).encode()


class Origin:
    """Answers everything with 200, and keeps the head of every whole request."""

    def __init__(self):
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        reader = connection.makefile("rb")
        try:
            while head := self.read_head(reader):
                self.read_body(reader, head)
                token = head.startswith(b"POST /ims/token/")
                if not token:
                    self.seen.append(head)
                body = TOKEN if token else b"{}"
                fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + fields.encode() + b"\r\n" + body)
        except (EOFError, OSError, ValueError):
            pass
        finally:
            connection.close()

    @staticmethod
    def read_head(reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return b""
            head += line
        return head

    @staticmethod
    def read_body(reader, head):
        fields = head.lower()
        if b"\r\ntransfer-encoding: chunked" in fields:
            while True:
                size = int(reader.readline(), 16)
                if len(reader.read(size + 2)) < size + 2:
                    raise EOFError
                if size == 0:
                    return
        elif b"\r\ncontent-length:" in fields:
            length = int(fields.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
            if len(reader.read(length)) < length:
                raise EOFError


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Proxy:
    """A program in front of the origin, with a port for each version of HTTP."""

    def __init__(self, name, command, files, ports, work):
        self.name, self.ports = name, ports
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (folder / file).write_text(text)
        log = (folder / "log").open("w")
        self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)

    def ready(self):
        """Waits until a plain request is answered."""
        for _ in range(300):
            try:
                with socket.create_connection(("127.0.0.1", self.ports[0]), timeout=2) as probe:
                    probe.sendall(b"GET /data/core/ups/ready HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
                    if b" 200 " in probe.makefile("rb").readline():
                        return self
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"{self.name} did not start; its log is in the work folder")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def gateway(binary, origin, work):
    port, admin = free_port(), free_port()
    url = f"http://127.0.0.1:{origin.port}"
    text = f"""
workers: 1
drain: 1s
listeners: [{{ address: '127.0.0.1:{port}' }}]
admin: {{ address: '127.0.0.1:{admin}' }}
ims: {{ url: '{url}' }}
upstream: {{ url: '{url}' }}
sandboxes: {{ dev-2: {{}} }}
credentials:
  demo: {{ organization: 0A1B2C3D4E5F60718293A4B5@AdobeOrg, client_id: demo-client, client_secrets: [demo-secret] }}
"""
    return Proxy("gateway", [binary, "run", "--config", "gateway.yaml"], {"gateway.yaml": text}, (port, port), work)


def nginx(origin, work):
    one, two = free_port(), free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    text = f"""
{user} daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream origin {{ server 127.0.0.1:{origin.port}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{one};
    listen 127.0.0.1:{two} http2;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    folder = work / "nginx"
    return Proxy("nginx", [binary, "-p", str(folder), "-c", "nginx.conf"], {"nginx.conf": text}, (one, two), work)


def envoy(origin, work):
    """Envoy as its documentation has it at the edge: paths normalised, underscores and escaped slashes refused."""
    port = free_port()
    text = f"""
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          codec_type: AUTO
          use_remote_address: true
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          common_http_protocol_options: {{ headers_with_underscores_action: REJECT_REQUEST }}
          http2_protocol_options: {{ max_concurrent_streams: 100 }}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: origin }} }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: origin
    type: STATIC
    load_assignment:
      cluster_name: origin
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin.port} }} }} }} }}] }}]
"""
    binary = pathlib.Path(sysconfig.get_paths()["purelib"]) / "envoy/_bin/envoy"
    command = [str(binary), "-c", "envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"]
    return Proxy("envoy", command, {"envoy.yaml": text}, (port, port), work)
