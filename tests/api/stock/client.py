"""A service before the api listener, with stock libraries alone: requests and PyJWT.

It knows the issuer's address, an authority, and its own certificate; everything else comes from the
metadata (RFC 8414) and the key set. It reads one order a line from standard input and writes one
answer a line, both JSON: the test decides what to do and what must come of it.
"""

import json
import sys

import jwt
import requests
from urllib3.util import connection

TRADE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPES = "urn:ietf:params:oauth:token-type:"


class Service:
    def __init__(self, setup):
        self.issuer = setup["issuer"]
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = setup["ca"]
        if setup.get("certificate"):
            self.http.cert = (setup["certificate"], setup["key"])
        resolve(setup["issuer"], setup["address"])

    def metadata(self):
        """What RFC 8414 §3 says: the issuer's own well-known address, which must name the issuer."""
        answer = self.http.get(
            self.issuer + "/.well-known/oauth-authorization-server", timeout=30
        )
        answer.raise_for_status()
        found = answer.json()
        assert found["issuer"] == self.issuer, found
        return found

    def verify(self, order):
        """A resource server that verifies by itself: metadata, key set, signature, claims."""
        token, keys = order["token"], self.http.get(self.metadata()["jwks_uri"], timeout=30)
        head = jwt.get_unverified_header(token)
        if head["typ"].lower() != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        key = find(keys.json(), head)
        return jwt.decode(
            token,
            key.key,
            algorithms=["ES256"],
            audience=order["audience"],
            issuer=self.issuer,
            options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]},
        )

    def post(self, endpoint, form, **headers):
        answer = self.http.post(
            self.metadata()[endpoint], data=form, headers=headers, timeout=30
        )
        kind = answer.headers.get("content-type", "")
        said = answer.json() if "json" in kind else answer.text
        return {
            "status": answer.status_code,
            "kind": kind,
            "cache": answer.headers.get("cache-control"),
            "length": len(answer.content),
            "body": said,
        }

    def introspect(self, order):
        return self.post("introspection_endpoint", {"token": order["token"]})

    def introspect_signed(self, order):
        kind = "application/token-introspection+jwt"
        answer = self.post("introspection_endpoint", {"token": order["token"]}, Accept=kind)
        assert answer["kind"] == kind, answer
        keys = self.http.get(self.metadata()["jwks_uri"], timeout=30).json()
        head = jwt.get_unverified_header(answer["body"])
        assert head["typ"] == "token-introspection+jwt", head
        key = find(keys, head)
        claims = jwt.decode(
            answer["body"],
            key.key,
            algorithms=["ES256"],
            audience=order["client"],
            issuer=self.issuer,
        )
        return {"status": answer["status"], "body": claims["token_introspection"]}

    def revoke(self, order):
        return self.post("revocation_endpoint", {"token": order["token"]})

    def exchange(self, order):
        form = {
            "grant_type": TRADE,
            "subject_token": order["subject"],
            "subject_token_type": TYPES + order["kind"],
            "audience": order["audience"],
        }
        if "scope" in order:
            form["scope"] = order["scope"]
        return self.post("token_endpoint", form)


def find(keys, head):
    for key in jwt.PyJWKSet.from_dict(keys).keys:
        if key.key_id == head["kid"]:
            return key
    raise jwt.InvalidKeyError("no such key")


def resolve(issuer, address):
    """The issuer's name leads to the test's listener, as an entry in the hosts file would."""
    name = issuer.split("://")[1].split(":")[0]
    former = connection.create_connection

    def create(target, *more, **named):
        return former(tuple(address) if target[0] == name else target, *more, **named)

    connection.create_connection = create


def main():
    service = Service(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(service, order["do"])(order)
        except requests.exceptions.RequestException as error:
            answer = {"refused": "connection", "why": repr(error)}
        except jwt.PyJWTError as error:
            answer = {"refused": "token", "why": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
