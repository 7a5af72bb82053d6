"""Fetches every message of alice's maildrop: HOST PORT DIRECTORY keep|delete."""

import poplib
import sys

host, port, directory, wish = sys.argv[1:]
server = poplib.POP3(host, int(port))
server.user("alice")
server.pass_("secret")
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
