"""Fetches every message of alice's maildrop: HOST PORT DIRECTORY keep|delete password|cram-md5|apop clear|stls|tls AUTHORITY."""

import base64
import hmac
import poplib
import ssl
import sys

host, port, directory, wish, login, security, authority = sys.argv[1:]


class Localhost(ssl.SSLContext):
    """The server is localhost, whatever its address."""

    def wrap_socket(self, sock, **options):
        return super().wrap_socket(sock, **{**options, "server_hostname": "localhost"})


if security != "clear":
    context = Localhost(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
if security == "tls":
    server = poplib.POP3_SSL(host, int(port), context=context)
else:
    server = poplib.POP3(host, int(port))
    if security == "stls":
        server.stls(context)
if login == "password":
    server.user("alice")
    server.pass_("secret")
elif login == "apop":
    server.apop("alice", "secret")
else:
    # poplib itself knows no SASL.
    challenge = base64.b64decode(server._shortcmd("AUTH CRAM-MD5").split()[1])
    digest = hmac.new(b"secret", challenge, "md5").hexdigest()
    server._shortcmd(base64.b64encode(f"alice {digest}".encode()).decode())
count, _ = server.stat()
for number in range(1, count + 1):
    announced = int(server.list(number).split()[2])
    _, lines, _ = server.retr(number)
    message = b"".join(line + b"\r\n" for line in lines)
    if len(message) != announced:
        sys.exit(f"message {number}: {len(message)} octets, {announced} announced")
    with open(f"{directory}/{number}", "wb") as file:
        file.write(message)
    if wish == "delete":
        server.dele(number)
server.quit()
