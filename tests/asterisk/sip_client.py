"""As much SIP as a browser's phone speaks: REGISTER and INVITE with digest authentication over a WebSocket."""

import hashlib
import os
import re
import select

from websocket_client import PING, PONG, TEXT, WebSocket, frame

PASSWORD = "rig-secret"

class Response:
    """A parsed SIP response or request; `headers` keeps the last of a repeated header, by lower-case name."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        self.first, self.text = first, text
        self.status = int(first.split()[1]) if first.startswith("SIP/2.0") else None
        self.method = None if self.status else first.split()[0]
        self.headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines if ":" in line)}

class SipClient:
    """One user on one WebSocket."""

    def __init__(self, asterisk, user="1001", tls=True, password=PASSWORD, headers=()):
        self.user, self.password, self.host = user, password, asterisk.address
        self.transport = "WSS" if tls else "WS"
        self.socket = WebSocket(asterisk, tls=tls, protocols=("sip",), headers=headers)
        self.contact = f"<sip:{user}@{os.urandom(6).hex()}.invalid;transport=ws>"
        self.registration, self.tag, self.cseq = os.urandom(8).hex(), os.urandom(4).hex(), 0
        self.call = self.registration
        self.dialog = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.__exit__()

    def message(self, method, uri, to, headers=(), body="", cseq=None, branch=None):
        """A request of this client's dialogue as text."""
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/{self.transport} client.invalid;branch={branch or 'z9hG4bK' + os.urandom(6).hex()}",
                 "Max-Forwards: 70", f"From: <sip:{self.user}@{self.host}>;tag={self.tag}", f"To: {to}",
                 f"Call-ID: {self.call}", f"CSeq: {cseq or self.cseq} {method}", f"Contact: {self.contact}", *headers]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def receive(self, timeout=10):
        """The next SIP message; a keep-alive of CRLFs is passed over."""
        while True:
            opcode, payload = self.socket.message(timeout)
            assert opcode == TEXT, "SIP comes as text"
            if payload.strip():
                return Response(payload.decode())

    def final(self, method, timeout=15):
        """The first final response to a request of that method; requests of the server are answered on the way."""
        while True:
            response = self.receive(timeout)
            if response.method:
                self.answer(response)
            elif response.status >= 200 and response.headers["cseq"].endswith(method):
                return response

    def idle(self):
        """Answers the server's pings while nothing else is expected."""
        while select.select([self.socket.socket], [], [], 0)[0]:
            _, opcode, payload = self.socket.receive()
            assert opcode == PING, (opcode, payload)
            self.socket.send(frame(PONG, payload))

    def answer(self, request, status="200 OK"):
        """Answers a request of the server."""
        if request.method == "ACK":
            return
        via = re.findall(r"^Via:.*$", request.text, re.MULTILINE | re.IGNORECASE)
        lines = [f"SIP/2.0 {status}", *(line.strip() for line in via), *(f"{name}: {request.headers[name.lower()]}" for name in ("From", "To", "Call-ID", "CSeq")),
                 "Content-Length: 0"]
        self.socket.text("\r\n".join(lines) + "\r\n\r\n")

    def authorization(self, response, method, uri):
        """The header that answers a 401 or 407 (RFC 2617, MD5)."""
        challenge = response.headers.get("www-authenticate") or response.headers["proxy-authenticate"]
        fields = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
        md5 = lambda *parts: hashlib.md5(":".join(parts).encode()).hexdigest()  # noqa: E731
        secret, action = md5(self.user, fields["realm"], self.password), md5(method, uri)
        text = f'username="{self.user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{uri}", algorithm=MD5'
        if "qop" in fields:
            client = os.urandom(4).hex()
            digest = md5(secret, fields["nonce"], "00000001", client, "auth", action)
            text += f', qop=auth, nc=00000001, cnonce="{client}"'
        else:
            digest = md5(secret, fields["nonce"], action)
        if "opaque" in fields:
            text += f', opaque="{fields["opaque"]}"'
        name = "Authorization" if response.status == 401 else "Proxy-Authorization"
        return f'{name}: Digest {text}, response="{digest}"'

    def request(self, method, uri, to, headers=(), body="", timeout=15):
        """Sends a request, authenticates when asked to, and returns the final response; an INVITE's is acknowledged."""
        self.cseq += 1
        branch = "z9hG4bK" + os.urandom(6).hex()
        self.socket.text(self.message(method, uri, to, headers, body, branch=branch))
        response = self.final(method, timeout)
        if response.status in (401, 407):
            if method == "INVITE":
                self.socket.text(self.message("ACK", uri, response.headers["to"], branch=branch))
            self.cseq += 1
            branch = "z9hG4bK" + os.urandom(6).hex()
            self.socket.text(self.message(method, uri, to, [*headers, self.authorization(response, method, uri)], body, branch=branch))
            response = self.final(method, timeout)
        if method == "INVITE":
            if response.status < 300:
                self.dialog = (re.sub(r".*<(.*)>.*", r"\1", response.headers["contact"]), response.headers["to"])
                self.socket.text(self.message("ACK", *self.dialog))
            else:
                self.socket.text(self.message("ACK", uri, response.headers["to"], branch=branch))
        return response

    def register(self, expires=120):
        """Registers and returns the final response."""
        uri = f"sip:{self.host}"
        self.call = self.registration
        return self.request("REGISTER", uri, f"<sip:{self.user}@{self.host}>", [f"Expires: {expires}"])

    def invite(self, target, sdp, timeout=15):
        """Calls `target` and returns the final response."""
        uri = f"sip:{target}@{self.host}"
        self.call, self.tag, self.dialog = os.urandom(8).hex(), os.urandom(4).hex(), None
        return self.request("INVITE", uri, f"<{uri}>", body=sdp, timeout=timeout)

    def bye(self):
        """Ends the call and returns the final response."""
        return self.request("BYE", *self.dialog)
